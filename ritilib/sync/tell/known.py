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
    """After how many seconds it is told that calls hold units back, and that a server does not answer or a unit does
    not run."""

    held_s: float = 3600.0
    away_s: float = 300.0


@dataclass(frozen=True)
class Lasting:
    """What goes on: its name → since when (monotonic seconds), and the names of which it was told."""

    since: Mapping[str, float] = field(default_factory=dict)
    told: frozenset[str] = frozenset()

    def learn(self, present: Collection[str], now_s: float, limit_s: float) -> tuple[Lasting, frozenset[str]]:
        """What goes on now, and what of it has done so for limit_s and was not told yet."""
        since = {name: self.since.get(name, now_s) for name in present}
        late = frozenset(name for name, at_s in since.items() if now_s - at_s >= limit_s)
        return Lasting(since, (self.told & since.keys()) | late), late - self.told


@dataclass(frozen=True)
class Known:
    """In one leader's time. is_heir: another led before. is_first: no cycle has ended yet.

    commit: of the last cycle; changed: units that it changed so far; applied: the commit of which it was told, or was
    known from the beginning, that it is applied whole. inherited: units that failed in an heir's first cycle, and have
    failed since. failing (with why) and known_bad: units that were told already. held: units whose calls hold them;
    down: units of which nothing runs. removals: what is held for approval, "" if nothing.
    """

    is_heir: bool = False
    is_first: bool = True
    commit: str = ""
    changed: frozenset[str] = frozenset()
    applied: str = ""
    inherited: frozenset[str] = frozenset()
    failing: Mapping[str, str] = field(default_factory=dict)
    known_bad: frozenset[str] = frozenset()
    held: Lasting = field(default_factory=Lasting)
    down: Lasting = field(default_factory=Lasting)
    removals: str = ""


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

    held, late = known.held.learn(memory.busy, now_s, limits.held_s)
    if late:
        events.append(tell_held(late, done.commit, limits.held_s / 60))
    why = {key: one.what for key, one in done.why_down.items()}
    down, late = known.down.learn(why, now_s, limits.away_s)
    if late:
        events.append(tell_units("down", {key: why[key] for key in late}, done.commit))
    return replace(known, held=held, down=down), verdict, events


def learn_away(
    away: Lasting, part: Collection[str], missing: Collection[str], now_s: float, limits: Limits
) -> tuple[Lasting, list[Event]]:
    """What is known of the servers of part ("Nomad", …), of which those in missing do not answer now."""
    others = [name for name in away.since if name not in part]
    found, late = away.learn([*others, *missing], now_s, limits.away_s)
    back = away.told - found.since.keys()
    events = [tell_back(back)] if back else []
    if late:
        events.append(tell_away(late, limits.away_s / 60))
    return found, events
