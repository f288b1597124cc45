"""One call explained: each rung in words, with the place in the fleet's files that it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from ritilib.fleet.places import Places
from ritilib.routing.directory import Directory
from ritilib.routing.ladder import Attempt, Failure, Outcome, find_route

WORDS = {
    "rings": "rings {extension} at {box}",
    "emergency": "reaches the emergency service",
    "public": "is dialled on the office's own line",
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
        return self.outcome.kind in ("rings", "emergency", "public")


def trace_call(
    directory: Directory,
    places: Places,
    caller: str,
    dialled: str,
    down: frozenset[Failure],
    closed: bool = False,
) -> Trace:
    """What becomes of a call from a telephone at the box `caller` (a slug) that dials digits, or + and digits.

    closed: outside the company's hours.
    """
    digits = directory.country.abroad + dialled[1:] if dialled.startswith("+") else dialled
    route = find_route(directory, caller, digits, down, closed)
    key = f"{directory.company}/{caller}"
    hops = tuple(
        Hop(one.rung, one.path, one.reached, one.why, _find_source(directory, places, key, digits, one))
        for one in route.attempts
    )
    outcome = route.outcome
    words = (
        "rings the group {extension}" if outcome.kind == "rings" and not outcome.box else WORDS[outcome.kind]
    )
    end = words.format(
        extension=outcome.extension, box=f"{directory.company}/{outcome.box}", cause=outcome.cause
    )
    if outcome.kind == "rings" and outcome.box and outcome.extension in directory.mailboxes:
        end += "; its mailbox answers when nobody does"
    return Trace(hops, outcome, end)


def _find_source(directory: Directory, places: Places, key: str, digits: str, attempt: Attempt) -> str:
    entry = directory.find(digits)
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
