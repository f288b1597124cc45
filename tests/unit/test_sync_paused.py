"""A cycle with suspensions, windows and hands that are let be, on fakes: what it writes, leaves, and says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ritilib.gitops.desired import Desired
from ritilib.reconcile.state import read_record
from ritilib.render.names import CLOSED_DOOR, OPEN_DOOR
from ritilib.render.rules import SyncRules
from ritilib.sync.synced import Synced
from tests.fakes.journal import Died
from tests.unit import removing
from tests.unit.pausing import OPENING, TUESDAYS, ask, hold, lift
from tests.unit.replacing import BOXES, World, make_desired

PAUSE = timedelta(minutes=10)
CANARY = "acme/b"
OLD = make_desired("c1", "one")
NEW = make_desired("c2", "two", canaries=(CANARY,))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("ritilib.sync.unit.begin.CLOSING_S", 0.0)
    monkeypatch.setattr("ritilib.sync.follow.DEPLOYMENT_TIMEOUT_S", 0.0)
    made = World()
    assert made.sync(OLD).is_clean
    return made


def finish(world: World, desired: Desired) -> Synced:
    for _ in range(4):
        done = world.sync(desired)
        world.pass_time(PAUSE)
    return done


def list_new(world: World) -> set[str]:
    return {key for key, image in world.list_images().items() if image == "two"}


def deface(world: World, key: str) -> None:
    entry = world.consul.entries[removing.name(key).kv_key]
    world.consul.write(entry.key, entry.value + b" ", entry.modify_index)


def test_nothing_of_a_suspended_company_is_written_and_all_of_the_others(world: World) -> None:
    hold(world, "acme")
    deface(world, "acme/a")
    before = {key: entry for key, entry in world.consul.entries.items() if "/acme/" in key}
    jobs = {key: dict(job) for key, job in world.nomad.jobs.items() if "--acme--" in key}
    done = finish(world, NEW)
    assert list_new(world) == {"zorro/d", "zorro/e"}
    assert {key: entry for key, entry in world.consul.entries.items() if "/acme/" in key} == before
    assert {key: dict(job) for key, job in world.nomad.jobs.items() if "--acme--" in key} == jobs
    (problem,) = done.held
    assert "acme is suspended by ana@desk" in problem.what and "3 units of it wait" in problem.what
    assert [(one.scope, one.covers, one.waits) for one in done.pauses] == [("acme", 3, 3)]
    lift(world, "acme")
    assert finish(world, NEW).is_clean
    assert list_new(world) == set(BOXES)


def test_a_cycle_in_which_all_is_suspended_asks_three_things_and_writes_nothing(world: World) -> None:
    hold(world, "")
    deface(world, "acme/a")
    world.sync(NEW)
    world.sync(NEW)
    world.journal.requests.clear()
    done = world.sync(NEW)
    assert [one.split()[1] for one in world.journal.requests] == ["list", "read", "list"]
    assert (done.changed, len(done.held)) == ((), 1)


def test_a_wave_neither_waits_for_a_suspended_canary_nor_is_good_for_it(world: World) -> None:
    hold(world, CANARY)
    done = world.sync(NEW)
    assert len(done.changed) == 1 and CANARY not in done.changed  # another is the first
    world.pass_time(PAUSE)
    world.sync(NEW)
    world.pass_time(PAUSE)
    world.sync(NEW)
    assert list_new(world) == set(BOXES) - {CANARY}
    lift(world, CANARY)
    assert world.sync(NEW).changed == (CANARY,)


def test_a_suspension_ends_by_itself_and_the_cycle_says_when(world: World) -> None:
    until = world.now + timedelta(hours=2)
    hold(world, "", until)
    done = world.sync(NEW)
    assert (done.changed, done.due) == ((), until)
    world.now = until
    assert world.sync(NEW).changed == (CANARY,)


def test_what_was_replaced_before_is_judged_and_takes_calls_while_it_is_suspended(world: World) -> None:
    world.sync(NEW, 0, wait=False)
    assert CLOSED_DOOR in world.read_plan(CANARY)
    hold(world, "")
    world.sync(NEW)
    assert OPEN_DOOR in world.read_plan(CANARY)
    assert world.read_record(CANARY).judged == "good"


def test_what_was_replaced_before_and_is_bad_goes_back_while_it_is_suspended(world: World) -> None:
    bad = make_desired("c2", "two", bad=BOXES, canaries=(CANARY,))
    world.sync(bad, 0, wait=False)
    assert world.read_image(CANARY) == "two"
    hold(world, "")
    world.sync(bad)
    assert world.read_image(CANARY) == "one"
    assert OPEN_DOOR in world.read_plan(CANARY)


@pytest.mark.parametrize("bad", [(), BOXES], ids=["good", "bad"])
@pytest.mark.parametrize("moved", [False, True], ids=["the same commit", "a newer commit"])
def test_died_at_any_write_and_then_suspended_it_takes_calls_and_goes_on_when_resumed(
    world: World, bad: tuple[str, ...], moved: bool
) -> None:
    desired = make_desired("c2", "two", bad=bad, canaries=(CANARY,))
    later = replace(desired, commit="c3") if moved else desired
    world.journal.writes.clear()
    world.sync(desired)
    for moment in range(1, len(world.journal.writes) + 1):
        each = World()
        each.sync(OLD)
        each.journal.writes.clear()
        with each.journal.die_at(moment):
            each.sync(desired)
        hold(each, "")
        each.sync(later)
        each.sync(later)
        assert CLOSED_DOOR not in each.read_plan(CANARY), moment
        each.journal.writes.clear()
        each.sync(later)
        assert each.journal.writes == [], moment
        lift(each, "")
        finish(each, later)
        assert each.read_image(CANARY) == ("one" if bad else "two"), moment
        assert each.read_record(CANARY).state == "applied", moment
        assert CLOSED_DOOR not in each.read_plan(CANARY), moment


def test_a_value_that_is_none_of_ours_is_left_as_it_is_in_a_unit_left_in_the_middle(world: World) -> None:
    entry = world.consul.entries["riti/demo/inventory/acme/a"]
    begun = replace(read_record(entry.key, entry.value), state="applying", job="another")
    world.consul.write(entry.key, begun.to_bytes(), entry.modify_index)
    hold(world, "acme/a")
    for value in (b"{", b"[]", b'{"files": 1}', b'{"files": {}}', b'{"files": {"extensions.conf": 1}}'):
        held = world.consul.entries[removing.name("acme/a").kv_key]
        world.consul.write(held.key, value, held.modify_index)
        world.sync(OLD)
        assert world.consul.entries[held.key].value == value


def test_outside_its_window_what_git_changed_waits_and_what_a_hand_changed_is_put_back(world: World) -> None:
    waits = ask(NEW, ("acme/a", CANARY), SyncRules(windows=TUESDAYS))
    deface(world, CANARY)
    edited = world.nomad.jobs[removing.name("acme/a").job_id]
    world.edit("acme/a", TaskGroups=[{"Text": edited["TaskGroups"][0]["Text"].replace("# one", "# hand")}])
    calm = ask(OLD, ("acme/a", CANARY), SyncRules(windows=TUESDAYS))
    assert world.sync(calm).healed == {"acme/a", CANARY}
    assert world.read_image("acme/a") == "one"
    done = finish(world, waits)
    assert list_new(world) == set(BOXES) - {"acme/a", CANARY}
    assert done.due == OPENING
    (problem,) = done.held
    assert "2 units of acme wait for a window of `sync.windows` until 2026-11-24 02:00 UTC" in problem.what
    world.now = OPENING
    assert finish(world, waits).is_clean
    assert list_new(world) == set(BOXES)


def test_what_is_put_back_outside_the_window_is_what_was_applied(world: World) -> None:
    """The job is edited by hand while another dial plan waits: both wait, since one is judged by the other."""
    asked = ask(NEW, BOXES, SyncRules(windows=TUESDAYS))
    units = tuple(
        replace(unit, files={**unit.files, "pbx/job.nomad.hcl": OLD.units[at].files["pbx/job.nomad.hcl"]})
        for at, unit in enumerate(asked.units)
    )
    edited = world.nomad.jobs[removing.name(CANARY).job_id]
    world.edit(CANARY, TaskGroups=[{"Text": edited["TaskGroups"][0]["Text"].replace("# one", "# hand")}])
    done = world.sync(replace(asked, units=units))
    assert (done.changed, world.read_image(CANARY)) == ((), "hand")
    assert f"{CANARY} (dial plan or peers, drift: its job was changed)" in done.held[0].what


def test_a_repair_outside_the_window_keeps_the_commit_that_was_applied(world: World) -> None:
    deface(world, "acme/a")
    done = world.sync(ask(make_desired("c2", "two"), BOXES, SyncRules(windows=TUESDAYS)))
    assert done.changed == ()  # dial plan and job are both new: nothing can be put back by itself
    deface(world, "acme/c")
    desired = ask(replace(OLD, commit="c3"), BOXES, SyncRules(windows=TUESDAYS))
    units = tuple(
        replace(unit, files={**unit.files, "pbx/vault-policy.hcl": "other"}) for unit in desired.units
    )
    done = world.sync(replace(desired, units=units))
    assert done.changed == ("acme/a", "acme/c")
    assert world.read_record("acme/c").commit == "c1"
    assert len(done.held) == 2  # acme and zorro


def test_hands_are_let_be_and_the_values_are_not_read_for_it_in_each_cycle(world: World) -> None:
    calm = ask(OLD, BOXES, SyncRules(self_heal=False))
    world.sync(calm)
    deface(world, "acme/a")
    defaced = world.consul.entries[removing.name("acme/a").kv_key].value
    world.sync(calm)
    world.sync(calm)
    world.journal.requests.clear()
    done = world.sync(calm)
    assert [one.split()[1] for one in world.journal.requests] == ["list", "read", "list"]
    assert world.consul.entries[removing.name("acme/a").kv_key].value == defaced
    (problem,) = done.held
    assert "1 unit of acme were changed by hand" in problem.what
    assert "acme/a (drift: its value in Consul was changed)" in problem.what
    world.sync(OLD)  # healed as soon as nobody says otherwise
    assert world.consul.entries[removing.name("acme/a").kv_key].value != defaced


def test_another_value_that_is_changed_while_one_is_let_be_is_found(world: World) -> None:
    calm = ask(OLD, ("acme/a",), SyncRules(self_heal=False))
    deface(world, "acme/a")
    world.sync(calm)
    deface(world, CANARY)
    assert world.sync(calm).healed == {CANARY}


def test_a_certificate_is_renewed_while_it_is_suspended_and_warned_of_where_it_cannot_be(
    world: World,
) -> None:
    hold(world, "")
    world.pass_time(timedelta(days=3650))
    done = world.sync(OLD)
    assert set(done.changed) == set(BOXES) and done.is_clean
    waits = world.sync(replace(NEW, units=NEW.units[:1] + OLD.units[1:]))
    assert {one.severity for one in waits.held} == {"warning", "error"}
    assert "overlay certificates are due since" in waits.held[-1].what


def test_a_lifted_suspension_is_no_restore_when_consul_forgets_what_was_deleted(world: World) -> None:
    """The index of the inventory never goes back because of it."""
    hold(world, "acme")
    floor = world.sync(OLD).inventory_index
    lift(world, "acme")
    world.consul.deleted.clear()
    assert world.sync(OLD, floor).inventory_index > floor


def test_one_that_is_failing_is_left_alone_when_it_is_suspended(world: World) -> None:
    """Nothing is tried again, however often the loop comes by."""
    third = make_desired("c3", "three", canaries=(CANARY,))
    world.journal.on_write = lambda words: (_ for _ in ()).throw(Died) if "register" in words else None
    with pytest.raises(Died):
        world.sync(third)
    world.journal.on_write = lambda _words: None
    hold(world, CANARY)
    world.sync(third)
    world.journal.writes.clear()
    done = world.sync(third)
    assert not [words for words in world.journal.writes if CANARY in words or "acme--b" in words]
    assert [one for one in done.held if f"{CANARY} (an earlier sync did not finish it)" in one.what]
