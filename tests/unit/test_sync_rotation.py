"""A rotation through cycles of the controller on fakes: no link is ever cut, whoever is away, whenever it dies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ritilib.reconcile.rotation import settle
from ritilib.sync.pausing import resume, suspend
from ritilib.sync.synced import Synced
from tests.unit.removing import name
from tests.unit.rotating import BOXES, World, make_desired

OLD, NEW = make_desired("c1", 1), make_desired("c2", 2)


@pytest.fixture
def world() -> World:
    return make_world()


def make_world() -> World:
    made = World()
    made.sync(OLD)
    made.take_all_up()
    assert made.find_cuts() == []
    return made


def sync(world: World) -> Synced:
    done = world.sync(NEW)
    assert done.problems == ()
    assert world.find_cuts() == []
    return done


def test_three_steps_and_then_nothing_more(world: World) -> None:
    before = dict(world.force)
    secrets = []
    for _ in range(3):
        assert sync(world).changed == BOXES
        world.take_all_up()
        assert world.find_cuts() == []
        secrets.append({world.count_secrets(*end) for end in world.force})
    assert secrets == [{2}, {2}, {1}]
    world.journal.writes.clear()
    done = sync(world)
    assert (done.changed, done.held, done.rotating, world.journal.writes) == ((), (), frozenset(), [])
    for end, (_, held) in world.force.items():
        assert not set(held.values()) & set(before[end][1].values()), end


def test_no_task_is_replaced(world: World) -> None:
    jobs = {key: world.nomad.jobs[name(key).job_id]["JobModifyIndex"] for key in BOXES}
    for _ in range(3):
        sync(world)
        world.take_all_up()
    assert {key: world.nomad.jobs[name(key).job_id]["JobModifyIndex"] for key in BOXES} == jobs


@pytest.mark.parametrize("kind", ["pbx", "box"])
def test_one_end_that_is_away_holds_all_where_they_are_and_comes_back_linked(world: World, kind: str) -> None:
    others = [(one, key) for key in BOXES for one in ("pbx", "box") if (one, key) != (kind, "acme/b")]
    for _ in range(4):
        done = sync(world)
        for end in others:
            world.take_up(*end)
        assert world.find_cuts() == []
    says = "its PBX does not acknowledge them" if kind == "pbx" else "its box does not acknowledge them"
    assert len(done.held) == 3
    assert all(f"(acme/b: {says})" in one.what for one in done.held)
    assert done.rotating == frozenset(BOXES)
    assert {world.count_secrets(*end) for end in others} == {2}
    world.take_up(kind, "acme/b")
    for _ in range(3):
        sync(world)
        world.take_all_up()
    assert world.read_record("acme/b").generations == settle(2)


def test_what_else_is_merged_is_done_meanwhile(world: World) -> None:
    sync(world)
    later = make_desired("c3", 2, (*BOXES, "acme/d"))
    done = world.sync(later)
    assert done.changed == (*BOXES, "acme/d")
    world.take_all_up((*BOXES, "acme/d"))
    assert world.find_cuts() == []


def test_a_wait_asks_little_and_writes_nothing(world: World) -> None:
    sync(world)
    sync(world)
    world.journal.requests.clear()
    world.journal.writes.clear()
    sync(world)
    assert world.journal.writes == []
    assert len(world.journal.requests) <= 3 + 1 + 2  # its usual questions, the boxes' words, and one PBX's


def test_a_box_that_is_there_and_says_nothing_is_not_passed_over(world: World) -> None:
    world = World(silent={"acme/c"})
    world.sync(OLD)
    world.take_all_up()
    done = sync(world)
    assert done.changed == BOXES  # their files in Git
    assert all(world.read_record(key).generations is None for key in BOXES)
    assert all("its box is there, and does not say what it holds" in one.what for one in done.held)


def test_a_box_that_was_never_there_holds_nobody_up() -> None:
    world = World()
    world.sync(OLD)
    for key in BOXES:
        world.take_up("pbx", key)
    for _ in range(3):
        sync(world)
        for key in BOXES:
            world.take_up("pbx", key)
    world.take_up("box", "acme/a")
    assert world.find_cuts() == []
    assert {world.read_record(key).generations for key in BOXES} == {settle(2)}


def test_taken_back_in_the_middle_it_goes_back(world: World) -> None:
    for _ in range(2):
        sync(world)
        world.take_all_up()
    for _ in range(2):
        world.sync(OLD)
        world.take_all_up()
        assert world.find_cuts() == []
    assert {world.read_record(key).generations for key in BOXES} == {None}
    assert world.sync(OLD).is_clean


@pytest.mark.parametrize("lost", [BOXES, ("acme/a",)])
def test_an_inventory_that_was_lost_in_the_middle_cuts_nothing(world: World, lost: tuple[str, ...]) -> None:
    """Its box has not taken up the first step when the record of it goes."""
    sync(world)
    for end in world.force:
        if end != ("box", "acme/a"):
            world.take_up(*end)
    world.lose_inventory(lost)
    for _ in range(3):
        sync(world)
        for end in world.force:
            if end != ("box", "acme/a"):
                world.take_up(*end)
        assert world.find_cuts() == []
    world.take_all_up()
    for _ in range(4):
        sync(world)
        world.take_all_up()
    assert world.find_cuts() == []
    assert {world.read_record(key).generations for key in BOXES} == {settle(2)}


@pytest.mark.parametrize("step", [1, 2, 3])
def test_died_at_any_write_of_a_step_no_link_is_cut_and_it_goes_on(step: int) -> None:
    whole = make_world()
    for _ in range(step - 1):
        sync(whole)
        whole.take_all_up()
    whole.journal.writes.clear()
    sync(whole)
    last = len(whole.journal.writes)
    assert last >= 5 * len(BOXES)
    for number in range(1, last + 1):
        world = make_world()
        for _ in range(step - 1):
            sync(world)
            world.take_all_up()
        world.journal.writes.clear()
        with world.journal.die_at(number):
            world.sync(NEW)
        world.take_all_up()
        assert world.find_cuts() == [], f"died at write {number}"
        for _ in range(6):
            sync(world)
            world.take_all_up()
            assert world.find_cuts() == [], f"after a death at write {number}"
        assert {world.read_record(key).generations for key in BOXES} == {settle(2)}


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_suspended_end_holds_the_others_where_they_reach_it_and_goes_on_with_them(steps: int) -> None:
    """Only its certificate is renewed meanwhile, by the secrets that its links hold."""
    world = make_world()
    for _ in range(steps):
        sync(world)
        world.take_all_up()
    before = world.read_record("acme/b").holds
    suspend(world.consul, "demo", "acme/b", "the mast is down", "ana", world.now)
    for _ in range(4):
        sync(world)
        world.take_all_up()
        assert world.find_cuts() == []
    assert world.read_record("acme/b").holds == before
    world.pass_time(timedelta(days=3650))
    done = sync(world)
    # before the first step its secrets are not as Git has them: then nothing can be renewed alone, which is a warning
    assert ("acme/b" in done.changed) == bool(steps)
    assert [one.severity for one in done.held].count("warning") == (not steps)
    world.take_all_up()
    assert world.read_record("acme/b").holds == before
    assert world.find_cuts() == []
    resume(world.consul, "demo", "acme/b", "ana", world.now)
    for _ in range(4):
        sync(world)
        world.take_all_up()
    assert {world.read_record(key).holds for key in BOXES} == {settle(2)}
