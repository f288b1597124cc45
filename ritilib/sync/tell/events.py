"""What is worth telling people, and the words for it. Each event is told once, of many units in one message."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ritilib.reconcile.wording import count

Kind = Literal[
    "applied",
    "unit-failed",
    "went-back",
    "down",
    "held",
    "removals-held",
    "leader",
    "away",
    "back",
    "refused",
    "box-conflict",
]
SHOWN = 10  # units that one text names
TEXT_LIMIT = 2000  # characters; Slack shortens what is longer, and people read less
_CAUSE_LIMIT = 400
_WHAT = {  # of one unit, of more
    "unit-failed": ("fails again and again", "fail again and again"),
    "went-back": ("went back to what it was", "went back to what they were"),
    "down": ("has nothing that runs", "have nothing that runs"),
}


@dataclass(frozen=True)
class Event:
    """text is for people, one line or more; units are all that it is about, sorted."""

    kind: Kind
    text: str
    commit: str = ""
    units: tuple[str, ...] = ()


def tell_applied(commit: str, units: int, changed: int) -> Event:
    """Everything is as the commit wishes."""
    news = f", {changed} changed" if changed else ", nothing had to be changed"
    return Event(
        "applied", f"commit {show(commit)} is applied: {count(units, 'unit')} as wished{news}", commit
    )


def tell_units(
    kind: Literal["unit-failed", "went-back", "down"], causes: Mapping[str, str], commit: str
) -> Event:
    """causes: unit → why. One cause that many share is said once."""
    by_cause: dict[str, list[str]] = {}
    for unit, cause in sorted(causes.items()):
        by_cause.setdefault(_take_name_out(cause, unit), []).append(unit)
    one, many = _WHAT[kind]
    what = one if len(causes) == 1 else many
    lines = [f"{count(len(causes), 'unit')} {what}, with commit {show(commit)}:"]
    for cause, units in sorted(by_cause.items(), key=lambda one: (-len(one[1]), one[0])):
        lines.append(f"{name_some(units)}: {_bound(cause, _CAUSE_LIMIT)}")
    return Event(kind, _bound_lines(lines), commit, tuple(sorted(causes)))


def tell_held(units: Collection[str], commit: str, minutes: float) -> Event:
    """Units whose calls do not end."""
    verb = "waits" if len(units) == 1 else "wait"
    what = f"{count(len(units), 'unit')} {verb} since {minutes:.0f} min for calls to end: {name_some(units)}"
    return Event("held", f"{what} (commit {show(commit)})", commit, tuple(sorted(units)))


def tell_removals(what: str, mend: str, commit: str) -> Event:
    """Removals over the limit, which wait for approval."""
    return Event("removals-held", _bound(f"{what}; {mend} (commit {show(commit)})", TEXT_LIMIT), commit)


def tell_leader(who: str, epoch: int) -> Event:
    """Another instance leads than before."""
    return Event("leader", f"{who} leads from now on (leader number {epoch})")


def tell_away(names: Collection[str], minutes: float) -> Event:
    """Servers that do not answer."""
    said = "does not answer" if len(names) == 1 else "do not answer"
    return Event("away", f"{', '.join(sorted(names))} {said} since {minutes:.0f} min; what runs goes on")


def tell_back(names: Collection[str]) -> Event:
    """They answer again."""
    said = "answers" if len(names) == 1 else "answer"
    return Event("back", f"{', '.join(sorted(names))} {said} again")


def tell_refused(commit: str, words: str) -> Event:
    """A commit that is not applied; the one before stays in force."""
    what = f"commit {show(commit)} is refused, and the one before stays in force: {words}"
    return Event("refused", _bound(what, TEXT_LIMIT), commit)


def tell_conflicts(causes: Mapping[str, str], commit: str) -> Event:
    """Boxes of which there seem to be two, each locked out now; causes: box → why."""
    boxes = "1 box is" if len(causes) == 1 else f"{len(causes)} boxes are"
    lines = [f"{boxes} locked out, since two have what one alone can have:"]
    lines += [f"{box}: {_bound(why, _CAUSE_LIMIT)}" for box, why in sorted(causes.items())]
    lines.append("see `riti enroll list`; `riti enroll replace` lets new hardware in")
    return Event("box-conflict", _bound_lines(lines), commit, tuple(sorted(causes)))


def name_some(units: Iterable[str]) -> str:
    """The first SHOWN of them, and how many more."""
    named = sorted(units)
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"{', '.join(named[:SHOWN])}{more}"


def show(commit: str) -> str:
    """A commit as people name it."""
    return commit[:12]


def _take_name_out(cause: str, unit: str) -> str:
    """What is wrong with acme/salto and with acme/rivera is one cause, whatever job or path it names."""
    return cause.replace(unit, "…").replace(unit.replace("/", "--"), "…")  # so a job is named


def _bound(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _bound_lines(lines: list[str]) -> str:
    """As many whole lines as there is room for, the first in any case."""
    kept, room = lines[:1], TEXT_LIMIT - len(lines[0])
    for number, line in enumerate(lines[1:], 1):
        room -= len(line) + 1
        if room < 30:
            return "\n".join([*kept, f"and {count(len(lines) - number, 'cause')} more"])
        kept.append(line)
    return "\n".join(kept)
