"""When to try again: longer after each failure, and never at the same moment as the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Random = Callable[[], float]  # from 0 to 1, as random.random


@dataclass(frozen=True)
class Backoff:
    """first_s doubles with each failure in a row up to longest_s; share of it is left to chance, downwards (1: all)."""

    first_s: float = 5.0
    longest_s: float = 600.0
    share: float = 0.5

    def delay(self, failures: int, random: Random) -> float:
        """Seconds to wait after so many failures in a row (1 or more)."""
        whole = min(self.first_s * 2.0 ** min(failures - 1, 60), self.longest_s)
        return whole * (1 - self.share * random())


def spread(interval_s: float, random: Random, share: float = 0.1) -> float:
    """The interval, up to share shorter or longer, so that instances do not ask in step."""
    return interval_s * (1 + share * (2 * random() - 1))
