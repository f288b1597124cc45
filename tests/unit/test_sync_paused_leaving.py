"""A cycle on fakes in which units leave the manifest while they are suspended, or outside their windows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ritilib.gitops.desired import Desired
from ritilib.render.rules import SyncRules
from ritilib.sync.once import sync_once
from ritilib.sync.pausing import resume
from tests.unit import removing
from tests.unit.pausing import OPENING, TUESDAYS, ask, hold, lift
from tests.unit.removing import GRACE, WEEK

GONE = "acme/salto"
ALL = ("acme/rivera", GONE, "lighthouse/one", "zorro/uno", "zorro/dos")
LEFT = tuple(key for key in ALL if key != GONE)


@pytest.fixture
def leaving() -> removing.World:
    """A world that a unit is about to leave."""
    made = removing.World()
    assert made.sync(removing.make_desired("c1", ALL)).is_clean
    return made


def test_a_suspended_unit_that_left_the_manifest_is_not_even_marked(leaving: removing.World) -> None:
    world, less = leaving, removing.make_desired("c2", LEFT)
    hold(world, "acme")
    world.journal.writes.clear()
    for _ in range(3):
        done = world.sync(less)
        world.pass_time(WEEK)
    assert (world.journal.writes, done.stopped, world.is_running(GONE)) == ([], (), True)
    assert f"1 unit of it wait: {GONE} (in no manifest)" in done.held[0].what
    lift(world, "acme")
    done = world.sync(less)
    assert (done.stopped, [one.until for one in done.waiting]) == ((), [world.now + GRACE])
    world.pass_time(GRACE)
    assert world.sync(less).stopped == (GONE,)


@pytest.mark.parametrize("by", ["the command", "the company in Git", "the fleet in Git"])
def test_a_grace_period_begins_anew_after_a_suspension(leaving: removing.World, by: str) -> None:
    world, less = leaving, removing.make_desired("c2", LEFT)
    world.sync(less)
    rain, sun = SyncRules(suspended="it rains in"), SyncRules()
    rules = {"": rain if "fleet" in by else sun, "acme": rain if by.endswith("Git") else sun}
    paused = replace(less, sync=rules) if by.endswith("Git") else less
    if by == "the command":
        hold(world, GONE)
    world.pass_time(GRACE)
    assert world.sync(paused).stopped == ()
    if by == "the command":
        lift(world, GONE)
    done = world.sync(less)
    assert (done.stopped, [one.until for one in done.waiting]) == ((), [world.now + GRACE])


def test_a_unit_of_a_company_that_is_gone_is_kept_by_the_fleets_suspension(leaving: removing.World) -> None:
    world, less = leaving, removing.make_desired("c2", [key for key in ALL if not key.startswith("zorro")])
    kept = replace(less, sync={"": SyncRules(suspended="it rains in")}, removals=("zorro",))
    for _ in range(3):
        world.sync(kept)
        world.pass_time(WEEK)
    assert world.is_running("zorro/uno") and world.is_running("zorro/dos")


def test_a_suspension_between_the_decision_and_the_stop_is_seen(leaving: removing.World) -> None:
    world, less = leaving, removing.make_desired("c2", LEFT)
    world.sync(less)
    world.pass_time(GRACE)

    def newest(one: Desired) -> Desired:
        hold(world, "acme")
        return one

    done = sync_once(less, world.servers, (), lambda _line: None, newest=newest, clock=lambda: world.now)
    assert (done.stopped, world.is_running(GONE)) == ((), True)


def test_a_suspended_unit_is_purged_when_it_is_suspended_no_more(leaving: removing.World) -> None:
    world, less = leaving, removing.make_desired("c2", LEFT)
    world.sync(less)
    world.pass_time(GRACE)
    world.sync(less)
    hold(world, GONE)
    world.pass_time(WEEK)
    done = world.sync(less)
    assert (done.purged, "in no manifest" in done.held[0].what) == ((), True)
    lift(world, GONE)
    assert world.sync(less).purged == (GONE,)


def test_what_leaves_is_stopped_inside_the_windows_of_its_company(leaving: removing.World) -> None:
    world = leaving
    less = replace(removing.make_desired("c2", LEFT), sync={"acme": SyncRules(windows=TUESDAYS)})
    world.sync(less)
    world.pass_time(GRACE)
    done = world.sync(less)
    assert (done.stopped, [(one.key, one.until) for one in done.waiting]) == ((), [(GONE, OPENING)])
    assert done.due == OPENING
    world.now = OPENING
    assert world.sync(less).stopped == (GONE,)


def test_what_leaves_waits_for_what_may_take_its_place(leaving: removing.World) -> None:
    """An office is renamed, and the new one is suspended, or waits for its window."""
    world = leaving
    less = removing.make_desired("c2", [*LEFT, "acme/nueva"])
    waiting = ask(less, ("acme/nueva",), SyncRules(suspended="it rains in"))
    other = ask(less, ("zorro/uno",), SyncRules(windows=TUESDAYS))
    world.sync(waiting)
    world.pass_time(GRACE)
    done = world.sync(waiting)
    assert (done.stopped, [one.key for one in done.waiting]) == ((), [GONE])
    assert "changes of its company wait" in done.waiting[0].why
    assert world.sync(other).stopped == (GONE,)  # what waits elsewhere is no reason


def test_a_suspended_unit_that_leaves_counts_for_no_limit(leaving: removing.World) -> None:
    world = leaving
    less = removing.make_desired("c2", ("acme/rivera", "lighthouse/one", "zorro/uno"))
    hold(world, "acme")
    world.sync(less)
    world.pass_time(GRACE)
    assert world.sync(less).stopped == ("zorro/dos",)


def test_an_entry_that_cannot_be_read_suspends_is_seen_and_nothing_is_deleted(
    leaving: removing.World,
) -> None:
    world, less = leaving, removing.make_desired("c2", LEFT)
    world.sync(less)
    world.pass_time(GRACE)
    world.consul.write("riti/demo/inventory/_suspended/zorro", b"{", 0)
    done = world.sync(less)
    assert (done.stopped, done.is_clean) == ((), False)
    assert "the suspension riti/demo/inventory/_suspended/zorro" in done.problems[0].what
    assert resume(world.consul, "demo", "zorro", "ana", world.now).lifted
    assert world.sync(less).stopped == (GONE,)
