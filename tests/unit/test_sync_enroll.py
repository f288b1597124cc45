"""A PBX is made when its box is bound, and goes at once when its box is locked out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from ritilib.enroll.binding import Binding
from ritilib.gitops.desired import Desired
from ritilib.render.names import EnrollmentNames
from ritilib.render.rules import EnrollmentRules
from ritilib.sync.planned import plan_once
from tests.unit.removing import GRACE, World, make_desired

KEY, OTHER = "acme/salto", "acme/rivera"
BOXES = tuple(f"acme/o{number}" for number in range(12))


def make_enrolling(commit: str, keys: Collection[str], revoked: Collection[str] = ()) -> Desired:
    """A commit whose PBXes wait for their boxes, of which some are locked out."""
    desired = make_desired(commit, keys)
    units = tuple(
        replace(unit, awaits_box=True, enrollment=EnrollmentRules(revoked=unit.key in revoked))
        for unit in desired.units
    )
    return replace(desired, units=units)


def bind(world: World, key: str, state: str = "bound") -> None:
    place = EnrollmentNames("demo").binding(key)
    world.consul.put(place, Binding(state=state).encode())  # type: ignore[arg-type]


def test_it_is_made_when_its_box_is_bound_and_not_before() -> None:
    world, desired = World(), make_enrolling("c1", (KEY, OTHER))
    bind(world, OTHER, "waiting")
    first = world.sync(desired)
    assert first.is_whole and not world.is_running(KEY) and not world.is_running(OTHER)
    plan, _, _ = plan_once(desired, world.nomad, world.consul, world.now)
    assert plan.is_empty and plan.awaiting == (OTHER, KEY)
    bind(world, KEY)
    world.sync(desired)
    assert world.is_running(KEY) and not world.is_running(OTHER)


def test_what_was_made_is_kept_whatever_is_bound() -> None:
    world, desired = World(), make_enrolling("c1", (KEY,))
    bind(world, KEY)
    world.sync(desired)
    held = world.consul.read(EnrollmentNames("demo").binding(KEY))
    assert held is not None
    world.consul.delete(held.key, held.modify_index)
    plan, removals, _ = plan_once(desired, world.nomad, world.consul, world.now)
    assert plan.awaiting == () and removals.stops == ()
    world.sync(desired)
    assert world.is_running(KEY)


def test_a_fleet_whose_boxes_are_all_in_asks_for_no_binding() -> None:
    world, desired = World(), make_enrolling("c1", (KEY,))
    bind(world, KEY)
    world.sync(desired)
    before = len(world.journal.requests)
    world.sync(desired)
    assert not [one for one in world.journal.requests[before:] if "enrolled" in one]


def start(world: World) -> None:
    for key in BOXES:
        bind(world, key)
    world.sync(make_enrolling("c1", BOXES))
    assert all(map(world.is_running, BOXES))


def test_a_revoked_boxs_pbx_is_stopped_by_the_next_sync() -> None:
    world = World()
    start(world)
    _, removals, _ = plan_once(make_enrolling("c2", BOXES, BOXES[:1]), world.nomad, world.consul, world.now)
    assert [one.key for one in removals.stops] == [BOXES[0]] and removals.revoked == {BOXES[0]}
    done = world.sync(make_enrolling("c2", BOXES, BOXES[:1]))
    assert done.stopped == (BOXES[0],) and done.held == ()
    assert not world.is_running(BOXES[0]) and all(map(world.is_running, BOXES[1:]))


def test_the_limit_holds_no_revoked_box_up_and_they_hold_no_other_up() -> None:
    world = World()
    start(world)
    done = world.sync(make_enrolling("c2", BOXES, BOXES[:6]))
    assert done.stopped == tuple(sorted(BOXES[:6])) and done.held == ()
    gone = make_enrolling("c3", BOXES[:-1], BOXES[:6])
    assert world.sync(gone).held == ()
    world.pass_time(GRACE + timedelta(minutes=1))
    assert world.sync(gone).stopped == (BOXES[-1],)


def test_what_goes_wrong_elsewhere_holds_no_revoked_box_up() -> None:
    world = World()
    start(world)
    desired = make_enrolling("c2", BOXES, BOXES[:1])
    broken = replace(
        desired.units[3], files={**desired.units[3].files, "pbx/secrets.json": "{"}, digests=None
    )
    units = tuple(broken if unit.key == broken.key else unit for unit in desired.units)
    done = world.sync(replace(desired, units=units))
    assert done.problems and done.stopped == (BOXES[0],)


def test_a_box_that_has_a_call_is_waited_for() -> None:
    world = World()
    start(world)
    world.calls[BOXES[0]] = 1
    assert world.sync(make_enrolling("c2", BOXES, BOXES[:1])).stopped == ()
    world.calls.clear()
    assert world.sync(make_enrolling("c2", BOXES, BOXES[:1])).stopped == (BOXES[0],)


def test_a_replaced_box_brings_its_pbx_back() -> None:
    world = World()
    start(world)
    world.sync(make_enrolling("c2", BOXES, BOXES[:1]))
    world.sync(make_enrolling("c3", BOXES))
    assert world.is_running(BOXES[0])
