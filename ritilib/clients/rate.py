"""How fast one server is asked: a token bucket that all sessions of this process share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Bucket:
    """At most per_s requests a second in the long run, a second's worth of them at once after a rest.

    Whoever asks gets a place and waits for it: nobody is refused, and those that wait go in the order in which they
    asked.
    """

    def __init__(
        self,
        per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_s = per_s
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._held = max(1.0, per_s)
        self._seen_s = clock()

    def take(self) -> None:
        """Wait until one more request may be sent; from any thread."""
        with self._lock:
            now_s = self._clock()
            self._held = min(max(1.0, self._per_s), self._held + (now_s - self._seen_s) * self._per_s) - 1
            self._seen_s = now_s
            wait_s = -self._held / self._per_s
        if wait_s > 0:
            self._sleep(wait_s)
