"""The demo's table: it says what did not hold, and what was not reached."""

from __future__ import annotations

import pytest

from ritilib.cli.demo import print_told
from ritilib.devstack.demo.run import Told
from ritilib.devstack.demo.verdicts import Fact, Step


def told(*held: bool, asked: int = 2) -> Told:
    steps = tuple(
        Step(number, f"step {number}", [Fact("seen", is_held, "figure")])
        for number, is_held in enumerate(held, 1)
    )
    return Told(steps, asked)


def test_only_all_steps_with_all_facts_count_as_held() -> None:
    assert told(True, True).held
    assert not told(True, False).held
    assert not told(True).held, "a step was not reached"
    assert not Told((Step(1, "empty"),), 1).held, "a step without facts found nothing out"


def test_the_table_names_what_failed_and_what_was_not_reached(capsys: pytest.CaptureFixture[str]) -> None:
    print_told(told(True, False, asked=3), 12.0)
    said = capsys.readouterr().out
    assert "FAILED" in said
    assert "not reached" in said
    assert "NOT ALL HELD, 12 s" in said
