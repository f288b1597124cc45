"""How often one address may ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """A bucket of `burst` for each address, filled again at per_minute.

    At most most_addresses are remembered, the latest: whoever comes from a new address each time is a matter for the
    network, and fills no memory here.
    """

    def __init__(
        self,
        per_minute: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        most_addresses: int = 1024,
    ) -> None:
        self._per_s = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._most = most_addresses
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → left, at that time

    def allows(self, address: str) -> bool:
        """Whether the address has something left."""
        with self._lock:
            return self._count(address) >= 1

    def spend(self, address: str) -> bool:
        """Take one away; whether there was one."""
        with self._lock:
            left = self._count(address)
            self._left[address] = (max(left - 1, 0.0), self._clock())
            self._left.move_to_end(address)
            while len(self._left) > self._most:
                self._left.popitem(last=False)
            return left >= 1

    def _count(self, address: str) -> float:
        left, at_s = self._left.get(address, (float(self._burst), self._clock()))
        return min(left + (self._clock() - at_s) * self._per_s, self._burst)
