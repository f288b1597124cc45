"""When the loop runs its next cycle, and which units it leaves alone in it. Pure functions of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ritilib.reconcile.backoff import Backoff, Random
from ritilib.reconcile.restarts import Restarts
from ritilib.sync.backoff import Held, find_next, keep_wished, note_failure, note_success
from ritilib.sync.images import Rolled
from ritilib.sync.synced import Synced


@dataclass(frozen=True)
class Pace:
    """Seconds.

    busy_s: so often is asked whether a PBX has still a call; watched_s: whether a replaced one is well, and whether a
    company holds the new secrets that it was given. longest_s: a cycle is run after it in any case, whatever the
    watches may have missed. slice_s: so long the loop waits without a sign of life. leave_s: what is left of a term
    when it stands for election again. seen_s: between two writes of its own view, for people. unit, cycle: when a unit
    that failed is tried again, and a cycle that failed as a whole.
    """

    busy_s: float = 5.0
    watched_s: float = 2.0
    longest_s: float = 300.0
    slice_s: float = 4.0
    leave_s: float = 600.0
    seen_s: float = 5.0
    unit: Backoff = field(default_factory=Backoff)
    cycle: Backoff = field(default_factory=lambda: Backoff(first_s=1.0, longest_s=60.0))


@dataclass(frozen=True)
class Memory:
    """What the loop knows of its cycles before: also while another one leads, and where nothing is lost by forgetting.

    busy: unit → when it was found with calls (monotonic seconds), in the rollout of commit. failures: cycles in a row
    that left something undone. restarts: what Nomad need not be asked again, images: nor the boxes.
    """

    commit: str = ""
    floor: int = 0
    busy: Mapping[str, float] = field(default_factory=dict)
    failing: Held = field(default_factory=dict)
    failures: int = 0
    restarts: Restarts = field(default_factory=dict)
    images: Rolled | None = None


Wishes = Callable[
    [Iterable[str]], Mapping[str, str]
]  # units → unit → what tells its wish, without those that are gone


def forget_old(memory: Memory, commit: str, wishes: Wishes) -> Memory:
    """The memory for a cycle with this commit: what is wished anew is due at once."""
    failing = keep_wished(memory.failing, wishes(memory.failing)) if memory.failing else {}
    # who was busy stays so for the waves (no one waits for it), but is asked again
    busy = memory.busy if commit == memory.commit else dict.fromkeys(memory.busy, float("-inf"))
    return replace(memory, commit=commit, busy=busy, failing=failing)


def list_not_due(memory: Memory, now: datetime, now_s: float, pace: Pace) -> dict[str, datetime]:
    """Units to be left alone, and until when: they failed, or had a call a moment ago. now and now_s are one moment."""
    left_s = {key: at_s + pace.busy_s - now_s for key, at_s in memory.busy.items()}
    left_s |= {key: one.retry_at_s - now_s for key, one in memory.failing.items()}
    return {key: now + timedelta(seconds=left) for key, left in sorted(left_s.items()) if left > 0}


def learn(
    memory: Memory,
    done: Synced,
    not_due: Iterable[str],
    wishes: Wishes,
    now_s: float,
    pace: Pace,
    random: Random,
) -> Memory:
    """The memory after a cycle in which the units of not_due were left alone."""
    skipped = set(not_due)
    failing: Held = memory.failing
    for key in memory.failing:
        if key not in done.failed and key not in skipped and (key in done.changed or not done.left):
            failing = note_success(failing, key)
    told = wishes(done.failed)
    for key in sorted(done.failed & told.keys()):
        failing = note_failure(failing, key, told[key], now_s, pace.unit, random)
    busy = {key: at_s for key, at_s in memory.busy.items() if key in skipped}
    busy |= dict.fromkeys(sorted(done.busy), now_s)
    troubled = bool(done.left) or bool(done.problems and not (done.failed or done.watched))
    failures = memory.failures + 1 if troubled else 0
    return replace(
        memory,
        floor=done.inventory_index,
        busy=busy,
        failing=failing,
        failures=failures,
        restarts=done.restarts,
        images=done.images,
    )


def note_failed(memory: Memory) -> Memory:
    """The memory after a cycle that could not even read."""
    return replace(memory, failures=memory.failures + 1)


def find_pause(
    memory: Memory, done: Synced | None, now: datetime, now_s: float, pace: Pace, random: Random
) -> float:
    """Seconds until the next cycle, if nothing wakes the loop before; done: what the last one did (None: it failed)."""
    pauses = [pace.longest_s]
    if memory.failures:
        pauses.append(pace.cycle.delay(memory.failures, random))
    if done is None:
        return min(pauses)
    pauses += [at_s + pace.busy_s - now_s for at_s in memory.busy.values()]
    if memory.failing:
        pauses.append(find_next(memory.failing, now_s) or 0.0)
    if done.watched or done.rotating:
        pauses.append(pace.watched_s)
    if done.due:
        pauses.append((done.due - now).total_seconds())
    return max(0.0, min(pauses))
