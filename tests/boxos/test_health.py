"""What counts as running, for a version that is tried."""

from __future__ import annotations

import pytest

from onbox.health import STEADY_S, is_steady

SINCE_S = 31.5


def show(state: str, since_us: int | str = int(SINCE_S * 1e6)) -> str:
    return f"ActiveState={state}\nActiveEnterTimestampMonotonic={since_us}\n"


@pytest.mark.parametrize(
    ("properties", "after_s", "steady"),
    [
        (show("active"), STEADY_S, True),
        (show("active"), STEADY_S - 0.1, False),  # it may have been started again just now
        (show("activating"), 300.0, False),
        (show("failed"), 300.0, False),
        (show("inactive", 0), 300.0, False),
        ("", 300.0, False),  # systemd does not answer
        ("ActiveState=active\n", 300.0, False),
    ],
)
def test_a_unit_runs_that_has_run_for_a_while(properties: str, after_s: float, steady: bool) -> None:
    assert is_steady(properties, SINCE_S + after_s) is steady
