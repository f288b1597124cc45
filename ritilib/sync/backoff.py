"""Which units failed with what they wish for, and when each is due again: at once for a new wish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.reconcile.backoff import Backoff, Random


@dataclass(frozen=True)
class Failing:
    """A unit that failed so many times in a row with this wish, and when it is due again (monotonic seconds)."""

    wish: str
    failures: int
    retry_at_s: float


Held = Mapping[str, Failing]  # by the unit's key


def note_failure(
    held: Held, key: str, wish: str, now_s: float, backoff: Backoff, random: Random
) -> dict[str, Failing]:
    """held with one more failure of the unit; the first one where it failed with another wish before."""
    before = held.get(key)
    failures = before.failures + 1 if before and before.wish == wish else 1
    return {**held, key: Failing(wish, failures, now_s + backoff.delay(failures, random))}


def note_success(held: Held, key: str) -> dict[str, Failing]:
    """held without the unit."""
    return {name: one for name, one in held.items() if name != key}


def keep_wished(held: Held, wishes: Mapping[str, str]) -> dict[str, Failing]:
    """held without the units that are gone or wish for something else now; wishes: key → what tells the wish."""
    return {key: one for key, one in held.items() if wishes.get(key) == one.wish}


def is_due(held: Held, key: str, wish: str, now_s: float) -> bool:
    """Whether the unit may be tried now."""
    one = held.get(key)
    return one is None or one.wish != wish or one.retry_at_s <= now_s


def find_next(held: Held, now_s: float) -> float | None:
    """Seconds until the first of them is due (0: now); None where none waits."""
    return max(0.0, min(one.retry_at_s for one in held.values()) - now_s) if held else None
