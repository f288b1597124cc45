"""Stopping and purging on fakes: each lock, each moment to die, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ritilib.errors import Unreachable
from ritilib.gitops.desired import Desired
from ritilib.render.names import OPEN_DOOR
from ritilib.sync.once import sync_once
from tests.fakes.journal import Died
from tests.unit.removing import GRACE, WEEK, World, make_desired, name

ALL = ("acme/rivera", "acme/salto", "acme-sur/salto", "lighthouse/one", "zorro/uno")
LEFT = tuple(key for key in ALL if key != "acme/salto")
GONE = "acme/salto"


@pytest.fixture
def world() -> World:
    made = World()
    assert made.sync(make_desired("c1", ALL)).is_clean
    return made


def mark(world: World) -> Desired:
    """A merge that takes GONE out, synced once; its grace period is over when this returns."""
    less = make_desired("c2", LEFT)
    done = world.sync(less)
    assert (done.stopped, [(one.key, one.until) for one in done.waiting]) == ((), [(GONE, world.now + GRACE)])
    assert done.is_clean
    world.pass_time(GRACE)
    return less


def test_a_unit_that_left_the_manifest_is_stopped_after_its_grace_period_and_no_other(world: World) -> None:
    less = mark(world)
    world.pass_time(timedelta(seconds=-1))
    assert world.sync(less).stopped == ()
    world.pass_time(timedelta(seconds=1))
    assert world.sync(less).stopped == (GONE,)
    assert [key for key in ALL if not world.is_running(key)] == [GONE]
    world.journal.writes.clear()
    assert (world.sync(less).stopped, world.journal.writes) == ((), [])


def test_what_was_stopped_for_a_week_leaves_nothing_behind_and_takes_nothing_of_others(world: World) -> None:
    for key in (one for one in ALL if not name(one).is_lighthouse):
        world.consul.write(name(key).generation, b'{"generation": 1, "held": ["", "1 a"]}', 0)
    less = mark(world)
    world.sync(less)
    others = {key: world.list_traces(key) for key in LEFT}
    world.pass_time(WEEK - timedelta(seconds=1))
    assert world.sync(less).purged == ()
    world.pass_time(timedelta(seconds=1))
    assert world.sync(less).purged == (GONE,)
    assert world.list_traces(GONE) == []
    assert {key: world.list_traces(key) for key in LEFT} == others
    assert all(world.is_running(key) for key in LEFT)
    assert world.sync(less).is_clean  # takes note of the live keys' new index
    world.journal.writes.clear()
    assert (world.sync(less).purged, world.journal.writes) == ((), [])


def test_what_nomad_collected_meanwhile_is_purged_like_the_rest(world: World) -> None:
    less = mark(world)
    world.sync(less)
    del world.nomad.jobs[name(GONE).job_id]
    world.pass_time(WEEK)
    assert world.sync(less).purged == (GONE,)
    assert world.list_traces(GONE) == []


@pytest.mark.parametrize("after", ["mark", "stop", "purge"])
def test_a_unit_that_comes_back_is_whole_again(world: World, after: str) -> None:
    before = world.list_traces(GONE)
    less = mark(world)
    if after != "mark":
        world.sync(less)
    if after == "purge":
        world.pass_time(WEEK)
        assert world.sync(less).purged == (GONE,)
    assert world.sync(make_desired("c3", ALL)).is_clean
    assert world.is_running(GONE)
    assert world.list_traces(GONE) == before
    record = world.consul.entries[f"riti/demo/inventory/{GONE}"].value
    assert b'"absent_since": ""' in record and b'"stopped_at": ""' in record
    # and its next absence has a grace period of its own
    done = world.sync(make_desired("c4", LEFT))
    assert (done.stopped, [one.until for one in done.waiting]) == ((), [world.now + GRACE])


def test_mass_deletion_is_held_until_it_is_approved(world: World) -> None:
    kept = ("acme/rivera", "lighthouse/one")
    less = make_desired("c2", kept)
    world.sync(less)
    world.pass_time(WEEK)
    done = world.sync(less)
    assert (done.stopped, done.purged, done.is_clean) == ((), (), False)
    [problem] = done.held
    assert "acme-sur/salto, acme/salto, zorro/uno" in problem.what
    assert "`removals: [acme-sur, acme/salto, zorro]`" in problem.mend
    assert all(world.is_running(key) for key in ALL)
    done = world.sync(make_desired("c3", kept, removals=("acme-sur", "acme/salto", "zorro")))
    assert done.stopped == ("acme-sur/salto", "acme/salto", "zorro/uno")
    assert done.is_clean
    assert [key for key in ALL if world.is_running(key)] == list(kept)


def test_a_company_whose_name_begins_alike_keeps_everything(world: World) -> None:
    kept = tuple(key for key in ALL if not key.startswith("acme/"))
    before = world.list_traces("acme-sur/salto")
    less = make_desired("c2", kept, removals=("acme",))
    world.sync(less)
    for time in (GRACE, WEEK):
        world.pass_time(time)
        done = world.sync(less)
    assert done.purged == ("acme/rivera", "acme/salto")
    assert world.list_traces("acme-sur/salto") == before
    assert world.is_running("acme-sur/salto")


def meddle_with_job(world: World) -> None:
    world.edit(GONE, Priority=77)


def bring_back(world: World) -> None:
    world.newest = make_desired("c3", ALL)


def hold_company(world: World) -> None:
    world.newest = make_desired("c3", LEFT, stale=["acme"])


def unmark(world: World) -> None:
    entry = world.consul.entries[f"riti/demo/inventory/{GONE}"]
    world.consul.write(
        entry.key, entry.value.replace(b'"absent_since": "2026', b'"absent_since": "2027'), entry.modify_index
    )


def strip_mark(world: World) -> None:
    world.edit(GONE, Meta=None)


def swap_mark(world: World) -> None:
    world.nomad.jobs[name(GONE).job_id]["Meta"]["riti.box"] = "acme/rivera"


MEANWHILE: dict[str, Callable[[World], None]] = {
    "its job changes": meddle_with_job,
    "its job loses its mark": strip_mark,
    "its job carries another mark, and no index tells": swap_mark,
    "a merge brings it back": bring_back,
    "a merge leaves its company stale": hold_company,
    "another writes its inventory entry": unmark,
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_changes_between_the_decision_and_the_stop_ends_it(
    world: World, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nomad's and Consul's lists are read; then, before the job is looked at again, the world changes."""
    less = mark(world)
    list_keys = world.consul.list_keys

    def list_then_change(prefix: str):
        found = list_keys(prefix)
        monkeypatch.setattr(world.consul, "list_keys", list_keys)
        MEANWHILE[what](world)
        return found

    monkeypatch.setattr(world.consul, "list_keys", list_then_change)
    done = world.sync(less)
    assert done.stopped == ()
    assert world.is_running(GONE)


def test_a_job_changed_by_hand_waits_once_more(world: World) -> None:
    less = mark(world)
    meddle_with_job(world)
    done = world.sync(less)
    assert (done.stopped, [one.until for one in done.waiting]) == ((), [world.now + GRACE])
    world.pass_time(GRACE)
    assert world.sync(less).stopped == (GONE,)


def let_an_update_fail(world: World) -> None:
    def vanish(words: str) -> None:
        if "acme/nueva" in words:
            raise Unreachable.because("Consul does not answer", "start it")

    world.journal.on_write = vanish


def take_a_wished_name(world: World) -> None:
    world.nomad.register(world.nomad.parse(f'job "{name("acme/nueva").job_id}" {{\n}}\n'), 0)


@pytest.mark.parametrize("go_wrong", [let_an_update_fail, take_a_wished_name])
def test_where_an_update_went_wrong_nothing_is_stopped(
    world: World, go_wrong: Callable[[World], None]
) -> None:
    mark(world)
    go_wrong(world)
    done = world.sync(make_desired("c3", (*LEFT, "acme/nueva")))
    assert done.problems
    assert (done.stopped, world.is_running(GONE)) == ((), True)
    assert [one.key for one in done.waiting if one.until is None] == [GONE]


def test_where_an_update_waits_for_a_call_to_end_nothing_is_stopped(world: World) -> None:
    less = mark(world)
    world.calls = {"zorro/uno": 1}
    unit = next(unit for unit in less.units if unit.key == "zorro/uno")
    files = {**unit.files, "pbx/job.nomad.hcl": unit.files["pbx/job.nomad.hcl"].replace("pbx", "next")}
    others = tuple(unit for unit in less.units if unit.key != "zorro/uno")
    done = world.sync(replace(less, commit="c3", units=(*others, replace(unit, files=files))))
    assert [problem.what.split()[0] for problem in done.held] == ["zorro/uno"]
    assert (done.stopped, world.is_running(GONE)) == ((), True)


def test_where_the_newest_commit_cannot_be_looked_at_nothing_is_stopped(world: World) -> None:
    less = mark(world)

    def refuse(_known: Desired) -> Desired:
        raise Unreachable.because("Git does not answer", "see why")

    done = sync_once(less, world.servers, (), lambda _line: None, newest=refuse, clock=lambda: world.now)
    assert ["Git does not answer" in problem.what for problem in done.problems] == [True]
    assert (done.stopped, world.is_running(GONE)) == ((), True)
    done = sync_once(less, world.servers, (), lambda _line: None, clock=lambda: world.now)
    assert (done.stopped, [one.key for one in done.waiting], done.is_clean) == ((), [GONE], True)


def test_a_lost_inventory_deletes_nothing_and_begins_every_grace_period_anew(world: World) -> None:
    less = mark(world)
    for key in [key for key in world.consul.entries if "/inventory/" in key]:
        world.consul.delete(key, world.consul.entries[key].modify_index)
    assert world.sync(less).stopped == ()
    done = world.sync(less)
    assert (done.stopped, [one.until for one in done.waiting]) == ((), [world.now + GRACE])
    world.pass_time(GRACE)
    assert world.sync(less).stopped == (GONE,)
    world.pass_time(WEEK)
    assert world.sync(less).purged == (GONE,)
    assert world.list_traces(GONE) == []


def test_an_index_that_went_back_deletes_nothing_and_begins_every_grace_period_anew(world: World) -> None:
    less = mark(world)
    done = world.sync(less, floor=world.consul.index + 1)
    assert (done.stopped, world.is_running(GONE)) == ((), True)
    done = world.sync(less, floor=done.inventory_index)
    assert (done.stopped, [one.until for one in done.waiting]) == ((), [world.now + GRACE])
    world.pass_time(GRACE)
    assert world.sync(less).stopped == (GONE,)


def test_live_keys_below_the_recorded_index_suspend_one_cycle(world: World) -> None:
    """Also where a company is stale, so that the index cannot be noted anew by looking at every value."""
    mark(world)
    world.consul.deleted.clear()
    top = max(
        (one for key, one in world.consul.entries.items() if "/pbx/" in key), key=lambda one: one.modify_index
    )
    fleet = world.consul.entries["riti/demo/inventory/_fleet"]
    raised = fleet.value.replace(
        f'"live_index": {top.modify_index}'.encode(), f'"live_index": {top.modify_index + 5}'.encode()
    )
    assert raised != fleet.value
    world.consul.write(fleet.key, raised, fleet.modify_index)
    stale = make_desired("c3", LEFT, stale=["zorro"])
    assert world.sync(stale).stopped == ()
    world.pass_time(GRACE)
    assert world.sync(stale).stopped == (GONE,)
    assert world.is_running("zorro/uno")


@pytest.mark.parametrize("step", ["mark", "stop", "purge"])
def test_died_at_every_write_and_run_again_it_ends_the_same(step: str) -> None:
    def prepare() -> tuple[World, Desired]:
        world = World()
        world.sync(make_desired("c1", ALL))
        less = make_desired("c2", LEFT)
        if step != "mark":
            mark(world)
        if step == "purge":
            world.sync(less)
            world.pass_time(WEEK)
        world.journal.writes.clear()
        return world, less

    whole, less = prepare()
    whole.sync(less)
    writes = list(whole.journal.writes)
    assert writes
    ended = whole.list_traces(GONE), whole.is_running(GONE)
    for number in range(1, len(writes) + 1):
        world, less = prepare()
        with world.journal.die_at(number):
            world.sync(less)
        done = world.sync(less)
        assert done.is_clean, f"died at {writes[number - 1]}"
        assert (world.list_traces(GONE), world.is_running(GONE)) == ended, f"died at {writes[number - 1]}"
        assert all(world.is_running(key) for key in LEFT)


def test_a_unit_whose_purge_died_and_that_comes_back_is_whole_again(world: World) -> None:
    before = world.list_traces(GONE)
    number = 0
    while True:
        number += 1
        less = mark(world)
        world.sync(less)
        world.pass_time(WEEK)
        world.journal.writes.clear()

        def die(_words: str, number: int = number) -> None:
            if len(world.journal.writes) == number:
                raise Died

        world.journal.on_write = die
        try:
            world.sync(less)
            break
        except Died:
            world.journal.on_write = lambda _words: None
        assert world.sync(make_desired("c3", ALL)).is_clean
        assert world.list_traces(GONE) == before, f"died at write {number}"
        assert world.is_running(GONE)
    assert number > 8


@pytest.mark.parametrize("place", ["consul role", "consul policy"])
def test_a_role_that_bears_another_mark_ends_the_purge_and_is_kept(world: World, place: str) -> None:
    less = mark(world)
    world.sync(less)
    world.pass_time(WEEK)
    held = world.consul.roles if place == "consul role" else world.consul.policies
    held[name(GONE).role] = (held[name(GONE).role][0], "somebody else's")
    done = world.sync(less)
    assert (done.purged, len(done.problems)) == ((), 1)
    assert name(GONE).role in held
    assert f"riti/demo/inventory/{GONE}" in world.consul.entries


def test_a_lighthouse_is_removed_like_a_box() -> None:
    world = World()
    both = ("lighthouse/one", "lighthouse/two", "acme/salto")
    world.sync(make_desired("c1", both))
    less = make_desired("c2", ("lighthouse/one", "acme/salto"))
    world.sync(less)
    for time in (GRACE, WEEK):
        world.pass_time(time)
        done = world.sync(less)
    assert done.purged == ("lighthouse/two",)
    assert world.list_traces("lighthouse/two") == []


def test_a_pbx_with_a_call_is_stopped_when_it_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the call comes in the last moment: its door is closed then, and opens again."""
    monkeypatch.setattr("ritilib.sync.prune.CLOSING_S", 0.0)
    less = mark(world)
    world.calls = {GONE: 1}
    done = world.sync(less)
    assert (done.stopped, [(one.key, one.why) for one in done.waiting]) == ((), [(GONE, "it has a call")])
    world.calls, world.arriving = {}, {GONE}
    assert world.sync(less).stopped == ()
    assert OPEN_DOOR in world.read_plan(GONE)
    world.calls, world.arriving = {}, set()
    assert world.sync(less).stopped == (GONE,)
    assert not world.is_running(GONE)
