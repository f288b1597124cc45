"""What a cycle may have done, and somebody who is told of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from ritilib.errors import Problem, Unreachable
from ritilib.sync.backoff import Failing
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.tell.outbox import Letter

DEADLINE_S = 60.0

NOTHING: dict[str, Any] = {
    "changed": (),
    "held": (),
    "problems": (),
    "unchanged": 12,
    "stopped": (),
    "purged": (),
    "waiting": (),
    "inventory_index": 1,
}


def make_done(commit: str = "c1", **said: Any) -> Synced:
    """A cycle that found 12 units as they are wished, and what else is said; problems are told of their units."""
    told: dict[str, tuple[Problem, ...]] = {}
    for one in said.get("problems", ()):
        if "/" in (key := one.what.split(" ")[0].strip(":")):
            told[key] = (*told.get(key, ()), one)
    return Synced(commit, **{**NOTHING, "told": told, **said})


def make_memory(
    failing: dict[str, int] | None = None, busy: tuple[str, ...] = (), failures: int = 0
) -> Memory:
    """failing: unit → how often in a row."""
    held = {key: Failing("wish", number, 0.0) for key, number in (failing or {}).items()}
    return Memory(busy=dict.fromkeys(busy, 0.0), failing=held, failures=failures)


def problem(what: str, rule: str = "", mend: str = "mend it") -> Problem:
    return Problem("", 0, 0, what, mend, rule)


@dataclass
class FakeChannel:
    """A channel. errors: what the next attempts raise; while it is held, an attempt lasts until it is aborted."""

    pace_s: float = 0.0
    sent: list[object] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    attempts: int = 0
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    def send(self, letter: Letter) -> None:
        self.attempts += 1
        self.free.wait(DEADLINE_S)
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(letter.what)

    def abort(self) -> None:
        if not self.free.is_set():
            self.errors.insert(0, Unreachable.because("broken off", ""))
            self.free.set()
