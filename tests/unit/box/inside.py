"""A box that is in: its names, a clock that a test sets, and how a test waits for the box's threads."""

from __future__ import annotations

from collections.abc import Callable

from ritilib.devstack.processes import poll
from ritilib.render.names import UnitNames

NAMES = UnitNames("fleet", "acme", "salto")
KEY = "riti/fleet/x"
WITHIN_S = 20.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def wait(holds: Callable[[], bool]) -> None:
    assert poll(holds, WITHIN_S)
