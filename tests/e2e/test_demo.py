"""The demo's nine steps on real servers: what `make demo` promises, asserted step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.devstack.demo.run import Told, run_demo

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet"
OUTAGE_S = 8.0
# How many facts each step finds out: a step that found fewer has not looked at all it should.
FACTS = {1: 4, 2: 1, 3: 2, 4: 6, 5: 6, 6: 10, 7: 10, 8: 8}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One run of the whole demo."""
    folder = tmp_path_factory.mktemp("demo")
    return run_demo(folder / "stack", folder / "lab", EXAMPLE, OUTAGE_S, keep=False, report=print)


@pytest.mark.parametrize("number", sorted(FACTS))
def test_each_step_of_the_demo_holds(told: Told, number: int) -> None:
    reached = {step.number: step for step in told.steps}
    assert number in reached, f"the demo ended before step {number}"
    step = reached[number]
    assert [f"{fact.what}: {fact.figure}" for fact in step.facts if not fact.held] == []
    assert len(step.facts) == FACTS[number], [fact.what for fact in step.facts]


def test_the_ninth_step_calls_the_whole_held(told: Told) -> None:
    assert told.held
    assert all(step.seconds > 0 for step in told.steps)


@pytest.mark.slow
def test_pbx_and_call_outlive_more_than_the_five_minutes_that_the_defaults_bear(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With Nomad's default retries a PBX was killed 303 s after Consul stopped (DESIGN, rule 10)."""
    folder = tmp_path_factory.mktemp("outage")
    told = run_demo(folder / "stack", folder / "lab", EXAMPLE, 340.0, keep=False, report=print)
    assert [fact for step in told.steps for fact in step.facts if not fact.held] == []
    assert told.held
