"""Whether calls get through under every single failure: every pair of ends of a company, every emergency call, and a
number outside from each telephone that may dial one.

The space is reduced, and nothing is lost by it:

- `find_route` looks only at parts that belong to the caller's or the callee's office, or to all. Any other single
  failure leaves a call as it is without one.
- Of an office it looks only at whether it has a line. So offices are taken by class, one of each is asked, and the
  calls of the others are counted with it.
- A host that fails takes some PBXes away. For one call that is its caller's PBX, its callee's, both, or neither: the
  failures pbx, pbx, cloud, none.
- A call to a group looks at its members' offices besides. (Its own telephone in a group rings in either case.)
- A call to a number outside looks at the offices that lend theirs a line besides. To the ladder one such number is
  like another, so one stands for all.
- A menu is heard from the caller's own PBX or box; what is chosen is a call like another.
- The telephones of an office stand behind the same box, so they are counted, not asked one by one.

A property test asks small companies call by call and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from ritilib.routing.directory import Directory, Office
from ritilib.routing.ladder import Failure, FailureKind, Route, find_route
from ritilib.routing.outside import choose_outside_number

NOTHING = frozenset({Failure("none")})
OUT, IN = "other offices", "it from other offices"
OUTSIDE = "numbers outside"
AT_AN_OFFICE: tuple[FailureKind, ...] = ("link", "box", "pbx", "line")
EVERYWHERE: tuple[FailureKind, ...] = ("none", "cloud", "vault", "consul", "nomad")


@dataclass(frozen=True, order=True)
class Gap:
    """Calls of one kind that do not get through under one failure, for one reason.

    office: "acme/salto". to: OUT, IN, OUTSIDE, "its own telephones", "emergency", "group 600" or "menu 700".
    """

    office: str
    failure: str
    to: str
    calls: int
    why: str


@dataclass(frozen=True)
class Proof:
    """calls: (caller, callee, failure) cases; rungs: how many of those that get through take which rung."""

    calls: int
    rungs: dict[str, int]
    gaps: tuple[Gap, ...]

    @property
    def lost(self) -> int:
        return sum(gap.calls for gap in self.gaps)


@dataclass(frozen=True)
class Case:
    """`calls` calls that all fare like this one; office is whom a gap is told of."""

    calls: int
    office: str
    to: str
    failure: Failure
    route: Route


def prove_company(directory: Directory) -> Proof:
    """Every call of one company under every single failure."""
    calls = 0
    rungs: dict[str, int] = {}
    gaps: dict[tuple[str, str, str, str], int] = {}
    for case in list_cases(directory):
        calls += case.calls
        if case.route.outcome.kind in ("rings", "menu", "emergency", "public"):
            rung = case.route.attempts[-1].rung
            rungs[rung] = rungs.get(rung, 0) + case.calls
        else:
            told = (f"{directory.company}/{case.office}", str(case.failure), case.to, _say_why(case.route))
            gaps[told] = gaps.get(told, 0) + case.calls
    found = (Gap(office, failure, to, count, why) for (office, failure, to, why), count in gaps.items())
    return Proof(calls, rungs, tuple(sorted(found)))


def list_failures(directory: Directory) -> tuple[Failure, ...]:
    """Every single failure of the company's world, none first."""
    offices = directory.offices.values()
    own = [failure for office in offices for failure in _list_own(office)]
    meshes = [Failure("mesh", one, other) for one, other in combinations(sorted(directory.offices), 2)]
    return (*map(Failure, EVERYWHERE), *own, *meshes)


def list_cases(directory: Directory) -> Iterator[Case]:
    """Every call under every failure once, in bundles that fare alike."""
    everything = len(list_failures(directory))
    offices = list(directory.offices.values())
    outside = choose_outside_number(directory.country, lambda digits: directory.find(digits) is not None)
    for office in offices:
        yield from _list_within(directory, office, everything, outside)
        for other, extensions in _list_classes(offices, office):
            calls = len(office.extensions) * extensions
            mesh = Failure("mesh", office.slug, other.slug)
            for failure in (*map(Failure, EVERYWHERE), *_list_own(office), mesh):
                yield _ask(directory, calls, office, OUT, failure, office, other.extensions[0])
            for failure in _list_own(office):
                yield _ask(directory, calls, office, IN, failure, other, office.extensions[0])
            related = len(EVERYWHERE) + len(_list_own(office)) + len(_list_own(other)) + 1
            many = calls * (everything - related)
            yield _ask(directory, many, office, OUT, Failure("none"), office, other.extensions[0])


def _list_within(directory: Directory, office: Office, everything: int, outside: str) -> Iterator[Case]:
    """Calls that are not to one telephone of another office: its own, emergency services, groups, numbers outside."""
    extensions = len(office.extensions)
    own = [*map(Failure, EVERYWHERE), *_list_own(office)]
    numbers = [(number, extensions, "emergency", own) for number in directory.emergencies]
    numbers += [(number, extensions, f"menu {number}", own) for number in directory.menus]
    if extensions > 1:
        pairs = extensions * (extensions - 1)
        numbers.append((office.extensions[0], pairs, "its own telephones", own))
    for ring in directory.rings.values():
        others = dict.fromkeys(box for box, _ in ring.members if box != office.slug)
        related = [*own, *_list_between(directory, office, others)]
        numbers.append((ring.number, extensions, f"group {ring.number}", related))
    if office.settings.outside != "none":
        related = [*own, *_list_between(directory, office, office.lenders)]
        numbers.append((outside, extensions, OUTSIDE, related))
    for number, calls, to, failures in numbers:
        for failure in failures:
            yield _ask(directory, calls, office, to, failure, office, number)
        many = calls * (everything - len(failures))
        yield _ask(directory, many, office, to, Failure("none"), office, number)


def _list_between(directory: Directory, office: Office, others: Iterable[str]) -> Iterator[Failure]:
    """The failures of these other offices, and of the ways to them."""
    for slug in others:
        yield from _list_own(directory.offices[slug])
        yield Failure("mesh", office.slug, slug)


def _list_own(office: Office) -> list[Failure]:
    return [Failure(kind, office.slug) for kind in AT_AN_OFFICE if kind != "line" or office.line]


def _list_classes(offices: list[Office], but: Office) -> list[tuple[Office, int]]:
    """Of each class of the other offices one that stands for all, and how many extensions they have together."""
    classes: dict[bool, list[Office]] = {}
    for office in offices:
        if office is not but:
            classes.setdefault(office.line is not None, []).append(office)
    return [(alike[0], sum(len(one.extensions) for one in alike)) for alike in classes.values()]


def _ask(
    directory: Directory, calls: int, told: Office, to: str, failure: Failure, caller: Office, dialled: str
) -> Case:
    route = find_route(directory, caller.slug, dialled, frozenset({failure}))
    if not route.path and find_route(directory, caller.slug, dialled, NOTHING).attempts == route.attempts:
        failure = Failure("none")  # it fails like that anyway: one gap, and not one for each failure
    return Case(calls, told.slug, to, failure, route)


def _say_why(route: Route) -> str:
    """The last rung's reason, which is the one that a person can mend; a dead box has none."""
    return route.attempts[-1].why if route.attempts else "the caller's own box is dead"
