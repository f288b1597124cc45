"""Which PBXes get another instance since their host is lost, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ritilib.clients.nomad_values import Allocation, Deployment
from ritilib.reconcile.lost import LOST_AFTER, Instance, Lost, find_lost, judge_lost, takes_turns
from ritilib.reconcile.plan import Plan
from ritilib.reconcile.state import LiveJob, Observed, Record, Wish
from ritilib.reconcile.suspensions import Suspension
from ritilib.render.names import UnitNames
from ritilib.sync.lost import give_up_lost
from ritilib.sync.troubles import Troubles
from ritilib.sync.unit.judge import LONGEST, judge_unit
from tests.fakes.consul import FakeConsul
from tests.fakes.nomad import FakeNomad

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WISH = Wish(UnitNames("demo", "acme", "salto"), {"pbx/live/extensions.conf": "", "pbx/live/iax.conf": ""})
JOB = WISH.names.job_id
LIGHTHOUSE = Wish(UnitNames("demo", "lighthouse", "one"), {})


@pytest.mark.parametrize(
    ("counts", "is_lost"),
    [
        ({"unknown": 1}, True),
        (None, False),
        ({}, False),
        ({"running": 1}, False),
        ({"unknown": 1, "running": 1}, False),
        ({"unknown": 1, "starting": 1}, False),
        ({"unknown": 1, "queued": 1}, False),
    ],
)
def test_lost_is_what_may_run_only_where_nobody_knows(counts: dict[str, int] | None, is_lost: bool) -> None:
    jobs = {
        JOB: LiveJob(7, False, {}, counts),
        LIGHTHOUSE.names.job_id: LiveJob(7, False, {}, {"unknown": 1}),
    }
    assert find_lost([WISH, LIGHTHOUSE], jobs) == ((WISH,) if is_lost else ())
    assert find_lost([WISH], {JOB: LiveJob(7, True, {}, counts)}) == ()
    assert find_lost([WISH], {}) == ()


@pytest.mark.parametrize(
    ("since", "hosts", "expected"),
    [
        (NOW - LOST_AFTER, ("here", "there"), Lost(("a",))),
        (NOW - LOST_AFTER + timedelta(seconds=1), ("there",), Lost((), NOW + timedelta(seconds=1))),
        (NOW - LOST_AFTER, ("here",), Lost()),
        (NOW - LOST_AFTER, (), Lost()),
    ],
)
def test_it_is_given_up_after_a_time_where_another_host_takes_work(
    since: datetime, hosts: tuple[str, ...], expected: Lost
) -> None:
    assert judge_lost([Instance("a", "here", since)], hosts, LOST_AFTER, NOW) == expected


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (None, False),
        ({}, False),
        ({"TaskGroups": [{"Tasks": [{"Name": "pbx"}]}]}, False),
        ({"TaskGroups": [{"Tasks": [{"Name": "take"}, {"Name": "pbx"}]}]}, True),
    ],
)
def test_a_job_without_turns_is_left_to_people(job: dict[str, Any] | None, expected: bool) -> None:
    assert takes_turns(job) is expected


class LostNomad(FakeNomad):
    """One PBX, at a host that is away; another takes work."""

    def __init__(self, task: str = "take") -> None:
        super().__init__()
        self.hosts = ("here", "there")
        self.task = task
        self.allocations[JOB] = [make_allocation("a", "unknown", "run", NOW - LOST_AFTER)]
        self.moved: list[str] = []

    def read_job(self, job_id: str) -> dict[str, Any] | None:
        return {"TaskGroups": [{"Tasks": [{"Name": self.task}]}]}

    def move_allocation(self, allocation_id: str) -> None:
        self.moved.append(allocation_id)


def make_allocation(name: str, client: str, desired: str, changed_at: datetime) -> Allocation:
    return Allocation(name, "pbx[0]", client, desired, 1, "here", changed_at_s=changed_at.timestamp())


def give_up(
    nomad: FakeNomad, counts: Mapping[str, int], *suspensions: Suspension, now: datetime = NOW
) -> datetime | None:
    observed = Observed(
        {JOB: LiveJob(7, False, {}, counts)}, {}, None, 0, frozenset(), {}, now, suspensions=suspensions
    )
    plan = Plan((WISH,), (), (), (), 1, False)
    return give_up_lost(plan, observed, nomad, LOST_AFTER, lambda: True, lambda _line: None, Troubles([]))


def test_nomad_is_asked_for_another_instance_and_only_where_one_is_lost() -> None:
    nomad = LostNomad()
    assert give_up(nomad, {"unknown": 1}) is None
    assert nomad.moved == ["a"]
    quiet = LostNomad()
    assert give_up(quiet, {"running": 1}) is None
    assert (quiet.moved, quiet.journal.requests) == ([], [])


def test_the_moment_is_told_so_that_no_cycle_is_late_for_it() -> None:
    nomad = LostNomad()
    early = NOW - timedelta(minutes=3)
    assert give_up(nomad, {"unknown": 1}, now=early) == NOW
    assert nomad.moved == []


def test_what_is_suspended_or_was_rendered_without_a_pair_stays() -> None:
    for scope in ("", "acme", "acme/salto"):
        nomad = LostNomad()
        give_up(nomad, {"unknown": 1}, Suspension(scope, "a reason", "eva", NOW.isoformat()))
        assert nomad.moved == []
    older = LostNomad("overlay")
    give_up(older, {"unknown": 1})
    assert older.moved == []
    other = LostNomad()
    give_up(other, {"unknown": 1}, Suspension("acme/rivera", "a reason", "eva", NOW.isoformat()))
    assert other.moved == ["a"]


class Ending(FakeNomad):
    """A deployment whose instance Nomad does not start while the one before goes on."""

    def wait_deployed(self, job_id: str, modify_index: int, timeout_s: float) -> Deployment:
        return Deployment("timeout", "not healthy", 1, 0)


def test_nothing_is_bad_while_the_one_before_ends_with_its_call() -> None:
    """Nomad starts the new one only then: that call may be longer than any task takes to come up."""
    began = NOW - 2 * LONGEST
    record = replace(Record("applied", "c"), replaced_at=began.isoformat(), job_modify_index=7)
    nomad = Ending()

    def judge(*allocations: Allocation) -> tuple[str, str]:
        nomad.allocations[JOB] = list(allocations)
        verdict = judge_unit(WISH, record, nomad, FakeConsul(), NOW, 0.0)
        return verdict.stage, verdict.why

    new = make_allocation("b", "pending", "run", began)
    stage, why = judge(make_allocation("a", "running", "stop", began), new)
    assert stage == "watched"
    assert "with its last call" in why
    ended = make_allocation("a", "complete", "stop", NOW - LONGEST / 2)
    assert judge(ended, new) == ("watched", "not healthy")
    assert judge(replace(ended, changed_at_s=began.timestamp()), new) == ("bad", "not healthy")
    assert judge(new) == ("bad", "not healthy")
