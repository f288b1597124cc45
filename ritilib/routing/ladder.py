"""The ladder of a call (DESIGN, Calls): which way it goes when some parts have failed. Pure, and the same rungs, in the
same order, by the same tables, as the rendered dial plans.

    cloud   box → own PBX → the callee's PBX → the callee's box
    direct  box → the callee's box, over the overlay; inside one office just the box
    line    the office's own line → the public network → the line of the callee's office
    lent    a number that is nobody's in the company: by the cloud, then directly, to another office's box → its line
    tone    a clear tone

It says that a route exists for one call on an otherwise idle fleet, and nothing of capacity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ritilib.errors import RitiError
from ritilib.routing.directory import Directory, Office
from ritilib.routing.outside import may_dial_outside
from ritilib.routing.table import Entry

# Q.850, as the dial plans give them
CAUSE_UNKNOWN_NUMBER = 1
CAUSE_NOT_ALLOWED = 21
CAUSE_CONGESTION = 34

FailureKind = Literal["none", "link", "box", "pbx", "mesh", "line", "cloud", "vault", "consul", "nomad"]
Rung = Literal["cloud", "direct", "line", "lent"]
RUNGS: tuple[Rung, ...] = get_args(Rung)


@dataclass(frozen=True, order=True)
class Failure:
    """A part that does not work.

    box is a slug, for link (its way into the overlay), box, pbx and line; mesh, the way between two PBXes, has both, in
    either order. none is no failure, cloud every PBX at once. vault, consul and nomad stand in no call's way (rule 10).
    """

    kind: FailureKind
    box: str = ""
    peer: str = ""

    def __str__(self) -> str:
        kind = "nothing" if self.kind == "none" else self.kind
        return ":".join(part for part in (kind, self.box, self.peer) if part)


def parse_failure(text: str, directory: Directory) -> Failure:
    """ "link:acme/salto", "mesh:acme/salto:montevideo" or "cloud" as a Failure; RitiError where it names no part."""
    kind, _, place = text.partition(":")
    company, _, boxes = place.partition("/")
    slugs = boxes.split(":") if boxes else []
    wanted = {"mesh": 2, **dict.fromkeys(("link", "box", "pbx", "line"), 1)}.get(kind, 0)
    known = company == directory.company and all(slug in directory.offices for slug in slugs)
    if (
        kind not in get_args(FailureKind)
        or len(slugs) != wanted
        or (wanted and not known)
        or (place and not wanted)
    ):
        mend = "name a part of this company, such as link:COMPANY/BOX or cloud (see `riti trace --help`)"
        raise RitiError.because(f"`{text}` is no part of {directory.company}", mend)
    return Failure(kind, *slugs)  # type: ignore[arg-type]  # one of FailureKind, as just seen


@dataclass(frozen=True)
class Attempt:
    """One rung that was tried: the nodes passed ("box:acme/salto"), and why it went no further ("" where it did).

    lender is the office (a slug) whose line it is about, where the rung is lent.
    """

    rung: Rung
    path: tuple[str, ...]
    why: str = ""
    lender: str = ""

    @property
    def reached(self) -> bool:
        return not self.why


@dataclass(frozen=True)
class Outcome:
    """What the caller gets.

    rings: the telephone of `extension` at `box`; where box is "", those of that group that can be reached. emergency:
    the service answers. menu: the words of the menu `extension` are heard, and a choice goes on as a call of its own.
    public: the number is dialled on the own line, or on that of `box`. tone: nothing of it; cause says what the
    telephone is told. dark: the caller's own box does not work.
    """

    kind: Literal["rings", "menu", "emergency", "public", "tone", "dark"]
    box: str = ""
    extension: str = ""
    cause: int = 0


@dataclass(frozen=True)
class Route:
    """The rungs in the order in which they were tried, and what came of it."""

    attempts: tuple[Attempt, ...]
    outcome: Outcome

    @property
    def path(self) -> tuple[str, ...]:
        """The nodes that the call that got through passes; () where none did."""
        return self.attempts[-1].path if self.attempts and self.attempts[-1].reached else ()


@dataclass(frozen=True)
class Fleetwork:
    """One company's directory, what of the world does not work, and whether it is outside the company's hours.

    colleague: the call came in by an office's own line, from a colleague's; it meets no closed door and no menu.
    """

    directory: Directory
    down: frozenset[Failure]
    closed: bool = False
    colleague: bool = False

    def lead(self, dialled: str) -> Entry | None:
        """Who rings at this time: an extension's entry, a group's, or a menu's."""
        entry = self.directory.find(dialled)
        while entry and (number := self._lead_on(entry)):
            entry = self.directory.find(number)
        return entry

    def _lead_on(self, entry: Entry) -> str:
        """The number that this one leads to at this time; "" where the call has come to its end."""
        if entry.kind == "hours":
            timed = self.directory.timed[entry.extension]
            return timed.closed if self.closed and not self.colleague else timed.to
        return (
            self.directory.menus[entry.extension].otherwise if entry.kind == "menu" and self.colleague else ""
        )

    def is_down(self, kind: FailureKind, box: str = "") -> bool:
        return Failure(kind, box) in self.down

    def has_pbx(self, box: str) -> bool:
        return not (self.is_down("pbx", box) or self.is_down("cloud"))

    def has_mesh(self, one: str, other: str) -> bool:
        return not ({Failure("mesh", one, other), Failure("mesh", other, one)} & self.down)

    def is_linked(self, box: str) -> bool:
        """Whether the box is in the overlay."""
        return not (self.is_down("link", box) or self.is_down("box", box))

    def has_line(self, office: Office) -> bool:
        """Whether the office has a line that works; it ends at the box."""
        down = self.is_down("line", office.slug) or self.is_down("box", office.slug)
        return office.line is not None and not down

    def node(self, kind: str, box: str) -> str:
        return f"{kind}:{self.directory.company}/{box}"


def find_route(
    directory: Directory, caller: str, dialled: str, down: frozenset[Failure], closed: bool = False
) -> Route:
    """The way of a call from a telephone at the box `caller` (a slug) that dials digits, with `down` not working.

    closed: outside the hours of the company.
    """
    work = Fleetwork(directory, down, closed)
    office = directory.offices[caller]
    if work.is_down("box", caller):
        return Route((), Outcome("dark", caller))
    if dialled in directory.emergencies:
        return _call_emergency(work, office)
    entry = work.lead(dialled)
    if entry is None:
        return _call_outside(work, office, dialled)
    route = _climb(work, office, entry)
    if route.path:
        return route
    return _take_line(work, office, entry, route.attempts)


def _climb(work: Fleetwork, office: Office, entry: Entry) -> Route:
    """The rungs inside the overlay: the cloud, then box to box. Of a group, whoever can be reached rings."""
    if entry.kind == "menu":
        return _hear_menu(work, office, entry)
    ring = work.directory.rings[entry.extension] if entry.kind == "group" else None
    boxes = [box for box, _ in ring.members] if ring else [entry.box]
    attempts: list[Attempt] = []
    for attempt in (_try_cloud, _try_direct):
        tried = [attempt(work, office.slug, box) for box in boxes]
        # the first that is reached stands for all in the path; where none is, the first says why
        attempts.append(next((one for one in tried if one.reached), tried[0]))
        if attempts[-1].reached:
            return Route(tuple(attempts), Outcome("rings", entry.box, entry.extension))
    return Route(tuple(attempts), Outcome("tone", cause=CAUSE_CONGESTION))


def _hear_menu(work: Fleetwork, office: Office, entry: Entry) -> Route:
    """The caller's PBX says the words, or else its box does by itself."""
    here = Attempt("direct", (work.node("box", office.slug),))
    cloud = _reach_pbx(work, office.slug)
    attempts = (cloud,) if cloud.reached else (cloud, here)
    return Route(attempts, Outcome("menu", extension=entry.extension))


def _take_line(work: Fleetwork, office: Office, entry: Entry, before: tuple[Attempt, ...]) -> Route:
    """The office's own line to the callee's office; over the public network only one member of a group is called."""
    if entry.kind == "group":
        callee = work.directory.rings[entry.extension].choose_by_line(work.directory, office.slug)
    else:
        callee = work.directory.offices[entry.box]
    attempt = _try_line(work, office, callee)
    tone = Outcome("tone", cause=CAUSE_CONGESTION)
    owner = replace(work, colleague=True).lead(callee.line.owner) if callee.line and attempt.reached else None
    if owner is None:
        return Route((*before, attempt), tone)
    # what comes in by a line is the cloud's to decide, as long as there is one
    inside = _climb(work, callee, owner)
    whole = Attempt("line", (*attempt.path, *inside.path[1:]), "" if inside.path else inside.attempts[-1].why)
    return Route((*before, whole), inside.outcome)


def _try_cloud(work: Fleetwork, caller: str, callee: str | None) -> Attempt:
    """callee None: a number that the company does not have, and for which its PBXes know no way."""
    own = _reach_pbx(work, caller)
    if not own.reached:
        return own
    path = [*own.path]
    if callee is None:
        return Attempt("cloud", tuple(path), "no number of the company: cause 3")
    if callee == caller and work.directory.offices[caller].settings.at_once == 1:
        return Attempt("cloud", tuple(path), "the link carries one call, and this one would be two: cause 27")
    if callee != caller:
        if not (work.has_mesh(caller, callee) and work.has_pbx(callee)):
            return Attempt("cloud", tuple(path), "the PBX of the other office does not answer: cause 3")
        path.append(work.node("pbx", callee))
        if not work.is_linked(callee):
            return Attempt("cloud", tuple(path), "the other office's box does not answer: cause 27")
    return Attempt("cloud", (*path, work.node("box", callee)))


def _reach_pbx(work: Fleetwork, caller: str) -> Attempt:
    """As far as the caller's own PBX."""
    here = work.node("box", caller)
    if not work.is_linked(caller):
        return Attempt("cloud", (here,), "the box is not in the overlay")
    if not work.has_pbx(caller):
        return Attempt("cloud", (here,), "its PBX does not answer")
    return Attempt("cloud", (here, work.node("pbx", caller)))


def _try_direct(work: Fleetwork, caller: str, callee: str) -> Attempt:
    here = work.node("box", caller)
    if callee == caller:
        return Attempt("direct", (here,))
    if not work.is_linked(caller):
        return Attempt("direct", (here,), "the box is not in the overlay")
    if not work.is_linked(callee):
        return Attempt("direct", (here,), "the other office's box does not answer")
    return Attempt("direct", (here, work.node("box", callee)))


def _try_line(work: Fleetwork, caller: Office, callee: Office) -> Attempt:
    """As far as the box of the callee's office."""
    here = work.node("box", caller.slug)
    if not work.has_line(caller):
        return Attempt("line", (here,), "the office has no line that works")
    if callee.line is None or callee is caller:
        return Attempt("line", (here,), "the other office has no line")
    out = (here, work.node("line", caller.slug), "public")
    if not work.has_line(callee):
        return Attempt("line", out, "the other office's line does not answer")
    return Attempt("line", (*out, work.node("line", callee.slug), work.node("box", callee.slug)))


def _call_emergency(work: Fleetwork, office: Office) -> Route:
    here = work.node("box", office.slug)
    if not work.has_line(office):
        attempt = Attempt("line", (here,), "the office has no line that works")
        return Route((attempt,), Outcome("tone", cause=CAUSE_CONGESTION))
    attempt = Attempt("line", (here, work.node("line", office.slug), "public"))
    return Route((attempt,), Outcome("emergency"))


def _call_outside(work: Fleetwork, office: Office, dialled: str) -> Route:
    """The office's own line, then those that are lent to it."""
    attempts = [_try_cloud(work, office.slug, None)]
    here = work.node("box", office.slug)
    if office.line is None and not office.lenders:
        attempts.append(Attempt("line", (here,), "the office has no line"))
        return Route(tuple(attempts), Outcome("tone", cause=CAUSE_UNKNOWN_NUMBER))
    if not may_dial_outside(dialled, office.settings, work.directory.country):
        attempts.append(Attempt("line", (here,), "the office's `calls` do not allow it"))
        return Route(tuple(attempts), Outcome("tone", cause=CAUSE_NOT_ALLOWED))
    if work.has_line(office):
        attempts.append(Attempt("line", (here, work.node("line", office.slug), "public")))
        return Route(tuple(attempts), Outcome("public"))
    if office.line:
        attempts.append(Attempt("line", (here,), "the office's line does not answer"))
    for lender in office.lenders:
        attempts += _borrow(work, office, work.directory.offices[lender])
        if attempts[-1].reached:
            return Route(tuple(attempts), Outcome("public", lender))
    return Route(tuple(attempts), Outcome("tone", cause=CAUSE_CONGESTION))


def _borrow(work: Fleetwork, office: Office, lender: Office) -> list[Attempt]:
    """By the cloud to the lender's line; where a PBX is what fails, directly."""
    attempts = [_take_lent(work, lender, _try_cloud(work, office.slug, lender.slug))]
    if work.node("box", lender.slug) not in attempts[0].path and work.is_linked(lender.slug):
        attempts.append(_take_lent(work, lender, _try_direct(work, office.slug, lender.slug)))
    return attempts


def _take_lent(work: Fleetwork, lender: Office, inside: Attempt) -> Attempt:
    """The way inside the overlay, and the lender's line after it."""
    whole = replace(inside, rung="lent", lender=lender.slug)
    if not inside.reached:
        return whole
    if not work.has_line(lender):
        return replace(whole, why="the other office's line does not answer: cause 47")
    return replace(whole, path=(*inside.path, work.node("line", lender.slug), "public"))
