"""What of a fleet runs nothing, by the job list alone."""

from __future__ import annotations

import pytest

from ritilib.clients.nomad_values import make_stub
from ritilib.reconcile.down import find_down
from ritilib.reconcile.state import LiveJob, Wish
from ritilib.render.names import UnitNames

WISH = Wish(UnitNames("demo", "acme", "salto"), {})


def find(counts: dict[str, int] | None, stopped: bool = False, *but: str) -> list[str]:
    jobs = {WISH.names.job_id: LiveJob(7, stopped, {}, counts)}
    return [str(one) for one in find_down([WISH], jobs, but).values()]


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({}, "its task does not come up"),
        ({"queued": 1}, "no host takes it"),
        ({"unknown": 1}, "its host has lost Nomad's servers"),
        ({"unknown": 1, "queued": 1}, "its host has lost Nomad's servers"),
    ],
)
def test_what_runs_nothing_is_told_with_its_cause(counts: dict[str, int], says: str) -> None:
    [said] = find(counts)
    assert f"acme/salto is not running: {says}" in said
    assert find(counts, False, "acme/salto") == []
    assert find(counts, True) == []


@pytest.mark.parametrize("counts", [None, {"running": 1}, {"starting": 1}, {"running": 1, "queued": 1}])
def test_what_runs_or_begins_is_not_down(counts: dict[str, int] | None) -> None:
    assert find(counts) == []


@pytest.mark.parametrize("counts", [{"running": 1, "unknown": 1}, {"starting": 1, "unknown": 1}])
def test_an_instance_that_follows_a_lost_one_is_told(counts: dict[str, int]) -> None:
    [said] = find(counts)
    assert "acme/salto: its host has lost Nomad's servers, and another has its place" in said
    assert find(counts, False, "acme/salto") == []


def test_a_job_that_is_not_there_is_the_plans_to_tell() -> None:
    assert find_down([WISH], {}) == {}


def test_the_list_of_nomad_counts_what_runs_over_all_groups() -> None:
    found = {
        "ID": "demo--acme--salto",
        "Status": "running",
        "Type": "service",
        "JobModifyIndex": 7,
        "Stop": False,
        "JobSummary": {
            "Summary": {
                "pbx": {"Running": 1, "Queued": 0, "Failed": 3, "Complete": 2},
                "other": {"Running": 1, "Unknown": 1},
            }
        },
    }
    assert make_stub(found).allocations == {"running": 2, "unknown": 1}
    assert make_stub({**found, "JobSummary": None}).allocations == {}
