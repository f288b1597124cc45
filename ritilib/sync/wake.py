"""The one place where the controller's loop waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from ritilib.errors import RitiError

# git: the branch moved; webhook: the forge says so; drift: Consul or Nomad changed; retry: a unit is due again;
# suspension: somebody suspended something, or lifted it; enroll: a box asks to be let in, or somebody said more of one;
# turns: what Consul says of PBXes' instances may be lost, or older than it was
Reason = Literal["git", "webhook", "drift", "timer", "retry", "suspension", "enroll", "turns"]
Report = Callable[
    [str, RitiError], None
]  # what could not do its work ("consul-values"), and why; from any thread


class Wakeups:
    """Reasons to run a cycle, from any thread. What comes while nobody waits is kept, each reason once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._reasons: set[Reason] = set()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the loop is to end."""
        return self._is_closed

    def wake(self, reason: Reason) -> None:
        """A reason for the next cycle. After `close` it does nothing."""
        with self._condition:
            if not self._is_closed:
                self._reasons.add(reason)
                self._condition.notify_all()

    def is_told(self, reason: Reason) -> bool:
        """Whether this reason has come since the last call of `wait`."""
        return reason in self._reasons

    def wait(self, timeout_s: float) -> frozenset[Reason]:
        """The reasons that have come since the last call, at once if there are any; `timer` after timeout_s.

        Nothing where `close` was called, now or while waiting.
        """
        end = time.monotonic() + timeout_s
        with self._condition:
            while not self._reasons and not self._is_closed:
                left = end - time.monotonic()
                if left <= 0:
                    return frozenset({"timer"})
                self._condition.wait(left)
            found = frozenset() if self._is_closed else frozenset(self._reasons)
            self._reasons.clear()
            return found

    def close(self) -> None:
        """Let whoever waits go, and nobody wait again. A signal's handler may call it: the lock is re-entrant."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
