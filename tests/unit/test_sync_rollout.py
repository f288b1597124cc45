"""A merge that replaces running PBXes: in waves, without a call, judged, and taken back; each moment to die."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ritilib.fleet.stretch import Stretch
from ritilib.gitops.desired import Desired
from ritilib.render.names import CLOSED_DOOR, OPEN_DOOR
from ritilib.render.rules import Windows
from tests.fakes.nomad import FakeNomad
from tests.unit.removing import name
from tests.unit.replacing import BOXES, World, make_desired

PAUSE = timedelta(minutes=10)
CANARY = "acme/b"
OLD = make_desired("c1", "one")
NEW = make_desired("c2", "two", canaries=(CANARY,))
MONDAYS = Windows(
    timezone="America/Montevideo", stretches=(Stretch(**{"days": "mon", "from": "00:00", "to": "06:00"}),)
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("ritilib.sync.unit.begin.CLOSING_S", 0.0)
    monkeypatch.setattr("ritilib.sync.follow.DEPLOYMENT_TIMEOUT_S", 0.0)
    made = World()
    assert made.sync(OLD).is_clean
    return made


def list_new(world: World) -> set[str]:
    return {key for key, image in world.list_images().items() if image == "two"}


def finish(world: World, desired: Desired) -> None:
    """Sync until the last wave."""
    for _ in range(3):
        world.sync(desired)
        world.pass_time(PAUSE)


def test_the_canary_alone_then_a_share_then_the_rest(world: World) -> None:
    done = world.sync(NEW)
    assert (done.changed, list_new(world)) == ((CANARY,), {CANARY})
    assert len(done.held) == 4 and "its wave comes after wave 1 of 3" in done.held[0].what
    assert list_new(world) == {CANARY}
    again = world.sync(NEW)
    assert again.changed == () and "not before 00:10 UTC" in again.held[0].what
    world.pass_time(PAUSE)
    world.sync(NEW)
    assert len(list_new(world)) == 3
    world.pass_time(PAUSE)
    assert world.sync(NEW).is_clean
    assert list_new(world) == set(BOXES)
    assert world.sync(NEW).changed == ()


def test_every_door_is_open_and_nothing_old_is_kept_when_it_is_over(world: World) -> None:
    finish(world, NEW)
    assert list_new(world) == set(BOXES)
    assert all(OPEN_DOOR in world.read_plan(key) and "two" in world.read_plan(key) for key in BOXES)
    assert not [key for key in world.consul.entries if "/last-good/" in key]
    world.journal.writes.clear()
    assert world.sync(NEW).is_clean
    assert world.journal.writes == []


def test_a_pbx_whose_host_is_lost_waits_for_it_and_writes_nothing(world: World) -> None:
    """It may be alive with calls; and one from before there were pairs has the address of its successor."""
    job_id = name(CANARY).job_id
    world.nomad.counts[job_id] = {"unknown": 1}
    world.journal.writes.clear()
    done = world.sync(NEW)
    assert CANARY in done.busy
    assert any("its host has lost Nomad's servers" in one.what for one in done.held)
    assert not [one for one in world.journal.writes if CANARY in one or job_id in one]
    world.nomad.counts[job_id] = {"running": 1}
    world.sync(NEW)
    assert CANARY in list_new(world)


def test_a_pbx_with_a_call_waits_and_is_replaced_when_it_has_ended(world: World) -> None:
    world.calls[CANARY] = 1
    world.journal.writes.clear()
    done = world.sync(NEW)
    assert (done.changed, world.journal.writes) == ((), [])
    assert f"{CANARY} is held back: it has a call" in [problem.what for problem in done.held]
    assert done.busy == {CANARY}
    world.calls.clear()
    assert world.sync(NEW).changed == (CANARY,)


def test_a_call_in_the_last_moment_opens_the_door_again(world: World) -> None:
    world.arriving = {CANARY}
    plan, record = world.read_plan(CANARY), world.read_record(CANARY)
    done = world.sync(NEW)
    assert (done.changed, list_new(world), done.busy) == ((), set(), {CANARY})
    after = world.read_record(CANARY)
    as_before = replace(after, value_index=record.value_index, kept_index=0)
    assert (world.read_plan(CANARY), as_before) == (plan, record)
    assert after.value_index == world.consul.entries[name(CANARY).kv_key].modify_index


def test_a_watcher_that_is_gone_is_not_believed(world: World) -> None:
    """Its last word was that there is no call."""
    world.sync(make_desired("c1", "one"))
    world.mute = {CANARY}
    done = world.sync(NEW)
    assert list_new(world) == set()
    assert [
        one.what for one in done.held if "does not acknowledge that it shall take no new call" in one.what
    ]
    assert OPEN_DOOR in world.read_plan(CANARY)


def test_the_window_is_the_time_for_one_that_is_never_idle(world: World) -> None:
    """It is Monday, and midnight has just passed."""
    world.calls = dict.fromkeys(BOXES, 2)
    world.now += timedelta(hours=3)
    done = world.sync(make_desired("c2", "two", canaries=(CANARY,), windows={CANARY: MONDAYS}))
    assert done.changed == (CANARY,)
    world.pass_time(timedelta(hours=12))
    assert world.sync(make_desired("c2", "two", canaries=(CANARY,), windows={CANARY: MONDAYS})).changed == ()


def test_a_bad_canary_goes_back_and_is_the_last(world: World) -> None:
    before = world.read_plan(CANARY)
    bad = make_desired("c2", "two", bad=BOXES, canaries=(CANARY,))
    done = world.sync(bad)
    assert [one.what for one in done.problems if f"{CANARY} did not come up as it is wished" in one.what]
    assert world.list_images() == dict.fromkeys(BOXES, "one")
    assert world.read_plan(CANARY) == before
    assert world.read_record(CANARY).judged == "bad"
    world.pass_time(PAUSE)
    world.journal.writes.clear()
    again = world.sync(bad)
    assert (again.changed, world.journal.writes) == ((), [])
    assert [one.what for one in again.problems if "its wished job did not come up" in one.what]
    assert [one.what for one in again.held if "its rollout has stopped" in one.what]


def test_another_wish_is_tried_after_a_bad_one(world: World) -> None:
    world.sync(make_desired("c2", "two", bad=BOXES, canaries=(CANARY,)))
    third = make_desired("c3", "three", canaries=(CANARY,))
    assert world.sync(third).changed == (CANARY,)
    assert world.read_image(CANARY) == "three"
    assert world.read_record(CANARY).bad_job == ""


def test_a_pbx_that_does_not_take_up_its_dial_plan_is_bad(world: World) -> None:
    world.sync(NEW, 0, wait=False)
    world.mute = {CANARY}
    watched = world.sync(NEW)
    assert [one.what for one in watched.problems if "not known to be well yet" in one.what]
    assert world.read_image(CANARY) == "two"
    world.pass_time(timedelta(minutes=7))
    world.sync(NEW)
    assert world.read_image(CANARY) == "one"


def test_the_door_that_was_opened_is_no_drift(world: World) -> None:
    world.sync(NEW, 0, wait=False)
    world.mute = {CANARY}  # so that it is not judged for a while
    first, again = world.sync(NEW, wait=False), world.sync(NEW, wait=False)
    assert CANARY in first.watched and CANARY in again.watched
    assert OPEN_DOOR in world.read_plan(CANARY)
    assert first.healed == again.healed == frozenset()
    assert CANARY not in again.changed


def test_a_job_edited_by_hand_is_put_right_without_waves(world: World) -> None:
    keys = BOXES[:3]
    for key in keys:
        job = world.nomad.jobs[f"demo--{key.replace('/', '--')}"]
        text = job["TaskGroups"][0]["Text"].replace("# one", "# hand")
        world.edit(key, TaskGroups=[{"Text": text}])
    assert world.sync(OLD).changed == keys
    assert world.list_images() == dict.fromkeys(BOXES, "one")


def test_a_new_box_waits_for_no_wave(world: World) -> None:
    more = make_desired("c2", "two", canaries=(CANARY,), boxes=(*BOXES, "acme/new"))
    assert world.sync(more).changed == (CANARY, "acme/new")


def count_writes(desired: Desired) -> int:
    world = World()
    world.sync(OLD)
    world.journal.writes.clear()
    world.sync(desired)
    return len(world.journal.writes)


@pytest.mark.parametrize("bad", [(), BOXES], ids=["good", "bad"])
def test_died_at_any_write_it_ends_in_the_same_state(world: World, bad: tuple[str, ...]) -> None:
    """No controller that dies leaves a door closed, a box between two specs, or a bad one tried again."""
    desired = make_desired("c2", "two", bad=bad, canaries=(CANARY,))
    last = count_writes(desired)
    assert last > 5
    for moment in range(1, last + 1):
        each = World()
        each.sync(OLD)
        each.journal.writes.clear()
        with each.journal.die_at(moment):
            each.sync(desired)
        each.sync(desired)
        each.sync(desired)
        assert each.read_image(CANARY) == ("one" if bad else "two"), moment
        assert OPEN_DOOR in each.read_plan(CANARY) and CLOSED_DOOR not in each.read_plan(CANARY), moment
        record = each.read_record(CANARY)
        assert (record.state, record.judged) == ("applied", "bad" if bad else "good"), moment
        assert not list_new(each) - {CANARY}, moment
        each.journal.writes.clear()
        each.sync(desired)
        assert each.journal.writes == [], moment


def list_asked(world: World) -> list[str]:
    """For which PBXes Nomad was asked what their wished job would do."""
    return [one.removeprefix("nomad plan demo--") for one in world.journal.requests if "nomad plan" in one]


def test_who_waits_for_its_wave_is_asked_about_once(world: World) -> None:
    first = world.sync(NEW)
    assert set(first.restarts) == set(BOXES) - {CANARY}
    world.journal.requests.clear()
    again = world.sync(NEW)
    assert (list_asked(world), again.held) == ([], world.sync(NEW).held)
    assert len(world.journal.requests) == 2 * 3, "the three questions of a cycle that has nothing to do"
    assert again.restarts == first.restarts
    world.pass_time(PAUSE)
    world.sync(NEW)
    assert len(list_new(world)) == 3
    world.pass_time(PAUSE)
    assert world.sync(NEW).restarts == {}
    assert list_new(world) == set(BOXES)


def test_new_secrets_that_wait_with_an_image_ask_nobody_either(world: World) -> None:
    more = {"pbx/vault-policy.hcl": "# more\n"}
    units = tuple(replace(unit, files={**unit.files, **more}) for unit in NEW.units)
    desired = replace(NEW, units=units)
    assert world.sync(desired).changed == (CANARY,)
    world.journal.requests.clear()
    assert world.sync(desired).changed == ()
    assert len(world.journal.requests) == 3


def test_who_has_a_call_is_asked_for_it_alone_until_it_has_ended(world: World) -> None:
    finish(world, replace(NEW, commit="c1"))
    world.calls[CANARY] = 1
    desired = make_desired("c3", "three", canaries=(CANARY,))
    assert world.sync(desired).busy == {CANARY}
    world.journal.requests.clear()
    done = world.sync(desired)
    assert (done.busy, list_asked(world)) == ({CANARY}, [])
    world.calls.clear()
    assert world.sync(desired).changed == (CANARY,)
    assert list_asked(world)[0] == "acme--b"


def test_a_hands_edit_or_another_wish_is_asked_about_anew(world: World) -> None:
    world.sync(NEW)
    world.edit("acme/a", Priority=70)
    world.journal.requests.clear()
    world.sync(NEW)
    assert list_asked(world) == ["acme--a"]
    world.journal.requests.clear()
    world.sync(make_desired("c2", "three", canaries=(CANARY,)))
    asked = {one.replace("--", "/") for one in list_asked(world)}
    assert asked == set(BOXES)


def test_one_that_nomad_would_not_replace_any_more_is_changed_when_its_turn_comes(world: World) -> None:
    """Another version of Nomad may judge another way."""
    first = world.sync(NEW)
    world.pass_time(PAUSE)
    world.nomad.plan = lambda job: FakeNomad.plan(world.nomad, {**job, "TaskGroups": held(world, job)})  # type: ignore[method-assign]
    done = world.sync(NEW)
    assert done.problems == () and len(done.changed) == 2
    assert set(done.restarts) == set(first.restarts) - set(done.changed)


def held(world: World, job: dict[str, object]) -> object:
    return world.nomad.jobs[str(job["ID"])]["TaskGroups"]
