"""What the loop lets others see of it: that it moves, and how it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Standing:
    """The loop after its last cycle.

    role: starting until the leader's lock was tried. commit: what the mirror holds ("": nothing yet). unreachable: the
    servers that did not answer in the last cycle, such as "Consul"; denied: those that refused its token.
    """

    role: Literal["starting", "leads", "follows"] = "starting"
    commit: str = ""
    unreachable: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    def list_lacks(self) -> list[str]:
        """Why it is not ready, one reason a line; empty where it is."""
        lacks = ["it neither leads nor follows yet"] if self.role == "starting" else []
        if not self.commit:
            lacks.append("the fleet's repository has not been fetched yet")
        lacks += [f"{name} did not answer in the last cycle" for name in self.unreachable]
        return lacks + [f"{name} refused the token in the last cycle" for name in self.denied]


class Board:
    """Written by the loop, read by the web's threads. Time is the monotonic clock's: setting the date moves nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved_at_s = clock()
        self.standing = Standing()

    def beat(self) -> None:
        """The loop moves: to be called in each round, and in each wait of a long one."""
        self._moved_at_s = self._clock()

    @property
    def age_s(self) -> float:
        """Seconds since the loop last moved."""
        return self._clock() - self._moved_at_s
