"""One call explained: each rung in words, with the place in the fleet's files that it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ritilib.errors import RitiError
from ritilib.fleet.places import Places
from ritilib.routing.directory import Directory
from ritilib.routing.ladder import Attempt, Failure, Outcome, Route, find_route

WORDS = {
    "rings": "rings {extension} at {box}",
    "menu": "is answered by the menu {extension}",
    "emergency": "reaches the emergency service",
    "public": "is dialled on the office's own line",
    "lent": "is dialled on the line of {box}",
    "tone": "ends in a tone (cause {cause})",
    "dark": "cannot be placed: the box of the caller is dead",
}


@dataclass(frozen=True)
class Hop:
    """One rung as it was tried: its nodes, whether the call went through by it, why not, and where it is said."""

    rung: str
    path: tuple[str, ...]
    held: bool
    why: str
    source: str


@dataclass(frozen=True)
class Trace:
    """The hops of one call in their order, and its end in words."""

    hops: tuple[Hop, ...]
    outcome: Outcome
    end: str

    @property
    def gets_through(self) -> bool:
        return self.outcome.kind in ("rings", "menu", "emergency", "public")


def trace_call(
    directory: Directory,
    places: Places,
    caller: str,
    dialled: str,
    down: frozenset[Failure],
    closed: bool = False,
    pressed: str = "",
) -> Trace:
    """What becomes of a call from a telephone at the box `caller` (a slug) that dials digits, or + and digits.

    closed: outside the company's hours. pressed: keys, one for each menu that answers in turn; RitiError where there is
    none to press it for. A key that the menu does not have leads to who rings else, and the hops of the choice follow.
    """
    digits = directory.country.abroad + dialled[1:] if dialled.startswith("+") else dialled
    route = find_route(directory, caller, digits, down, closed)
    key = f"{directory.company}/{caller}"
    hops = list(_list_hops(directory, places, key, digits, route))
    ends = [_word_end(directory, route.outcome)]
    for one in pressed:
        if route.outcome.kind != "menu":
            mend = "leave it out, or look at whom the keys before it lead to"
            raise RitiError.because(f"there is no menu to press {one} for: the call {ends[-1]}", mend)
        menu = directory.menus[route.outcome.extension]
        digits = menu.choices.get(one, menu.otherwise)
        route = find_route(directory, caller, digits, down, closed)
        hops += _list_hops(directory, places, key, digits, route)
        ends.append(f"{one} {_word_end(directory, route.outcome)}")
    return Trace(tuple(hops), route.outcome, "; ".join(ends))


def _list_hops(directory: Directory, places: Places, key: str, digits: str, route: Route) -> Iterator[Hop]:
    for one in route.attempts:
        source = _find_source(directory, places, key, digits, one)
        yield Hop(one.rung, one.path, one.reached, one.why, source)


def _word_end(directory: Directory, outcome: Outcome) -> str:
    place = f"{directory.company}/{outcome.box}"
    end = _choose_words(outcome).format(extension=outcome.extension, box=place, cause=outcome.cause)
    if outcome.kind == "rings" and outcome.box and outcome.extension in directory.mailboxes:
        end += "; its mailbox answers when nobody does"
    return end


def _choose_words(outcome: Outcome) -> str:
    if outcome.kind == "rings" and not outcome.box:
        return "rings the group {extension}"
    return WORDS["lent" if outcome.kind == "public" and outcome.box else outcome.kind]


def _find_source(directory: Directory, places: Places, key: str, digits: str, attempt: Attempt) -> str:
    entry = directory.find(digits)
    if attempt.rung == "lent":
        return places.find_lending(f"{directory.company}/{attempt.lender}")
    if attempt.rung == "line":
        outside = entry is None and digits not in directory.emergencies
        return (
            places.find_calls(key) if outside and attempt.why.endswith("allow it") else places.find_line(key)
        )
    if entry is None:
        return f"fleet/companies/{directory.company}.yaml"
    if said := places.find_number(directory.company, digits):
        return said
    if entry.kind != "extension":
        return places.find_number(directory.company, entry.extension)
    return places.find_extension(f"{directory.company}/{entry.box}", entry.extension)
