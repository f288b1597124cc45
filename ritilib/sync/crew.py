"""Independent units applied side by side, each thread with clients of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ritilib.errors import LeadershipLost, RitiError, Unreachable
from ritilib.reconcile.plan import Change
from ritilib.sync.unit.apply import Outcome, Servers

Attempt = Callable[[Change, Servers], Outcome]


@dataclass
class Work:
    """Changes that are attempted in their order, as far as threads have an order; go_on is asked before each, and
    report told of it. found: place → what came of it; places that were not begun are not in it."""

    changes: Sequence[Change]
    attempt: Attempt
    go_on: Callable[[], bool]
    report: Callable[[str], None]
    found: dict[int, Outcome | RitiError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._is_ended = False

    def do(self, crew: Sequence[Servers]) -> Iterator[tuple[Change, Outcome | RitiError]]:
        """Attempt all with one thread for each of the crew, the calling one if it is alone; what came of those that
        were begun, in the order of the changes.

        An error of a unit leaves the others alone; after Unreachable, which the others would meet alike, no more are
        begun. LeadershipLost, and whatever is a defect, is raised when all threads have ended.
        """
        if len(crew) == 1 or len(self.changes) < 2:
            self._run(crew[0])
        else:
            with ThreadPoolExecutor(min(len(crew), len(self.changes)), "unit") as threads:
                running = [threads.submit(self._run, servers) for servers in crew]
            for one in running:
                one.result()
        return ((self.changes[place], self.found[place]) for place in sorted(self.found))

    def _run(self, servers: Servers) -> None:
        while (place := self._take()) is not None:
            try:
                self.found[place] = self.attempt(self.changes[place], servers)
            except LeadershipLost:
                self._is_ended = True
                raise
            except RitiError as error:
                self.found[place] = error
                self._is_ended |= isinstance(error, Unreachable)
            except BaseException:
                self._is_ended = True
                raise

    def _take(self) -> int | None:
        with self._lock:
            if self._is_ended or self._next == len(self.changes) or not self.go_on():
                return None
            change = self.changes[self._next]
            self.report(f"{change.key}: {', '.join(change.reasons)}")
            self._next += 1
            return self._next - 1
