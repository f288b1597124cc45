"""What was told and what is known, and what is news beside it. Pure functions of values.

A new leader knows nothing of what its predecessor told. So it tells what it saw change: a commit that it applied, a
unit that failed after its first cycle. What stood already in that cycle is nobody's news, except where nobody led
before. What lasts too long (calls that do not end, a server that is away) counts from when it was first seen here: a
new leader may say it once more, after the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.tell.events import (
    Event,
    tell_applied,
    tell_away,
    tell_back,
    tell_held,
    tell_removals,
    tell_units,
)
from ritilib.sync.tell.verdict import Verdict, count_units, judge_cycle


@dataclass(frozen=True)
class Limits:
    """After how many seconds it is told that calls hold units back, and that a server does not answer."""

    held_s: float = 3600.0
    away_s: float = 300.0


@dataclass(frozen=True)
class Known:
    """In one leader's time. is_heir: another led before. is_first: no cycle has ended yet.

    commit: of the last cycle; changed: units that it changed so far; applied: the commit of which it was told, or was
    known from the beginning, that it is applied whole. inherited: units that failed in an heir's first cycle, and have
    failed since. failing (with why) and known_bad: units that were told already. held: unit → since when (monotonic
    seconds). removals: what is held for approval, "" if nothing.
    """

    is_heir: bool = False
    is_first: bool = True
    commit: str = ""
    changed: frozenset[str] = frozenset()
    applied: str = ""
    inherited: frozenset[str] = frozenset()
    failing: Mapping[str, str] = field(default_factory=dict)
    known_bad: frozenset[str] = frozenset()
    held: Mapping[str, float] = field(default_factory=dict)
    held_told: frozenset[str] = frozenset()
    removals: str = ""


@dataclass(frozen=True)
class Away:
    """Servers that do not answer: since when (monotonic seconds), and of which it was told."""

    since: Mapping[str, float] = field(default_factory=dict)
    told: frozenset[str] = frozenset()


def learn_cycle(
    known: Known, done: Synced, memory: Memory, now_s: float, limits: Limits
) -> tuple[Known, Verdict, list[Event]]:
    """What is known after a cycle, how its commit stands, and what is news. memory is the loop's after the cycle."""
    if known.commit != done.commit:
        known = replace(known, commit=done.commit, changed=frozenset(), inherited=frozenset())
    verdict = judge_cycle(done, memory, known.failing)
    is_inherited = known.is_heir and known.is_first
    by_us = {*done.changed, *done.stopped} - done.healed
    known = replace(known, changed=known.changed | by_us, is_first=False)
    events: list[Event] = []

    if done.is_whole and known.applied != done.commit:
        if known.changed or not is_inherited:
            events.append(tell_applied(done.commit, count_units(done), len(known.changed)))
        known = replace(known, applied=done.commit)

    went_back = {key: why for key, why in verdict.went_back.items() if key not in known.known_bad}
    if not is_inherited:
        went_back |= {key: why for key, why in verdict.known_bad.items() if key not in known.known_bad}
    if went_back:
        events.append(tell_units("went-back", went_back, done.commit))
    known = replace(known, known_bad=frozenset({*verdict.known_bad, *verdict.went_back}))

    inherited = done.failed if is_inherited else known.inherited & memory.failing.keys()
    known = replace(known, inherited=inherited)
    failing = {
        key: why for key, why in verdict.failing.items() if key not in known.failing.keys() | inherited
    }
    if failing:
        events.append(tell_units("unit-failed", failing, done.commit))
    known = replace(known, failing=verdict.failing)

    removals = verdict.removals.what if verdict.removals else ""
    if verdict.removals and removals != known.removals and not is_inherited:
        events.append(tell_removals(removals, verdict.removals.mend, done.commit))
    known = replace(known, removals=removals)

    known, held = _learn_held(known, memory.busy, now_s, limits)
    if held:
        events.append(tell_held(held, done.commit, limits.held_s / 60))
    return known, verdict, events


def _learn_held(
    known: Known, busy: Collection[str], now_s: float, limits: Limits
) -> tuple[Known, frozenset[str]]:
    """Also the units that are held too long, where one of them was not told yet."""
    held = {key: known.held.get(key, now_s) for key in busy}
    late = frozenset(key for key, since_s in held.items() if now_s - since_s >= limits.held_s)
    told = known.held_told & held.keys()
    return replace(known, held=held, held_told=told | late), late - told


def learn_away(
    away: Away, part: Collection[str], missing: Collection[str], now_s: float, limits: Limits
) -> tuple[Away, list[Event]]:
    """What is known of the servers of part ("Nomad", …), of which those in missing do not answer now."""
    since = {name: at_s for name, at_s in away.since.items() if name not in part or name in missing}
    since |= {name: now_s for name in missing if name not in since}
    late = frozenset(name for name, at_s in since.items() if now_s - at_s >= limits.away_s)
    back = away.told - since.keys()
    events = [tell_back(back)] if back else []
    if late - away.told:
        events.append(tell_away(late - away.told, limits.away_s / 60))
    return Away(since, (away.told - back) | late), events
