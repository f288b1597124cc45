"""What the loop publishes of itself, on fakes: where something is new, not in a hurry, and never in its own way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ritilib.errors import LeadershipLost, RitiError, Unreachable
from ritilib.reconcile.leading import Lead
from ritilib.sync import drift
from ritilib.sync.pace import Memory
from ritilib.sync.seen.history import Entry, read_history
from ritilib.sync.seen.publish import Publisher
from ritilib.sync.seen.status import Status, read_status
from tests.fakes.consul import FakeConsul
from tests.unit.sync.seen.test_status import NOW, make_done
from tests.unit.sync.serving import PACE, World, make_fleet

STATUS, HISTORY = "riti/demo/status", "riti/demo/history"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PAUSE_S", 0.01)
    monkeypatch.setattr(drift, "WAIT_S", 0.1)


@pytest.fixture
def world() -> World:
    return World(pace=replace(PACE, seen_s=0.0))


def read(consul: FakeConsul) -> Status | None:
    entry = consul.entries.get(STATUS)
    return read_status(STATUS, entry.value) if entry else None


def read_entries(consul: FakeConsul) -> tuple[Entry, ...]:
    entry = consul.entries.get(HISTORY)
    return read_history(HISTORY, entry.value).entries if entry else ()


def test_a_merge_is_seen_and_a_quiet_cycle_writes_nothing(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: (seen := read(world.consul)) is not None and seen.whole, "the whole view")
        world.wait(world.is_quiet, "an end of its own wakes")
        before = len(world.journal.writes)
        world.wait_cycle()
        world.wait_cycle()
        assert len(world.journal.writes) == before
        seen = read(world.consul)
        assert seen is not None
        assert (seen.leader.who, seen.leader.epoch, seen.commit.applied) == ("test", 1, "c1")
        [entry] = read_entries(world.consul)
        assert (entry.commit, entry.units, entry.whole, entry.who) == (
            "c1",
            {"changed": ("acme/a",)},
            True,
            "test",
        )


def test_drift_that_was_healed_is_told(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: bool(read_entries(world.consul)), "the first entry")
        world.deface("acme/a")
        world.wait(lambda: len(read_entries(world.consul)) == 2, "the second entry")
        world.wait(lambda: bool((seen := read(world.consul)) and seen.healed), "the view")
    assert read_entries(world.consul)[0].units == {"healed": ("acme/a",)}


def test_a_bad_image_is_told_with_its_mend_and_a_new_leader_keeps_it(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: bool(read_entries(world.consul)), "the first entry")
        bad = make_fleet("c2", "acme/a", image="/nonexistent")
        world.push(bad)
        world.wait(lambda: bool((seen := read(world.consul)) and seen.failing), "the failing unit")
    world.start_anew()
    with world.serve():
        world.wait(lambda: bool((seen := read(world.consul)) and seen.leader.epoch == 2), "the next leader")
        seen = read(world.consul)
    assert seen is not None
    [one] = seen.failing
    assert (one.unit, one.state, one.next_try) == ("acme/a", "gone-back", "")
    assert "no such file" in one.what and "nomad job history" in one.mend
    assert seen.commit.applied == "c1" and seen.commit.wanted == "c2" and not seen.whole
    assert any(entry.units.get("gone_back") == ("acme/a",) for entry in read_entries(world.consul))


def test_a_commit_that_cannot_be_used_is_told_until_the_next(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    world.forge.bad.add("c2")
    with world.serve():
        world.wait(lambda: bool((seen := read(world.consul)) and seen.whole), "the whole view")
        world.push(make_fleet("c2", "acme/a"))
        world.wait(lambda: bool((seen := read(world.consul)) and seen.git), "Git's trouble")
        seen = read(world.consul)
        assert seen is not None and seen.git is not None
        assert seen.git.problems[0].what == "c2 cannot be used"
        world.push(make_fleet("c3", "acme/a"))
        world.wait(lambda: bool((seen := read(world.consul)) and not seen.git), "its end")


def test_a_view_that_cannot_be_written_stops_no_cycle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write, is_away = world.consul.write, [True]

    def refuse(key: str, value: bytes, modify_index: int) -> int:
        if key in (STATUS, HISTORY) and is_away[0]:
            raise Unreachable.because("Consul gave no answer", "wait")
        return write(key, value, modify_index)

    monkeypatch.setattr(world.consul, "write", refuse)
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: "whole=true" in world.log.getvalue(), "the whole commit")
        world.wait(lambda: "part=status" in world.log.getvalue(), "the warning")
        is_away[0] = False
        world.wait(lambda: bool((seen := read(world.consul)) and seen.whole), "the view")


def test_what_another_version_wrote_is_written_over(world: World) -> None:
    for key in (STATUS, HISTORY):
        world.consul.write(key, b"{}", 0)
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: world.log.getvalue().count("as this version") >= 1, "the warning")
        world.wait(lambda: world.consul.entries[STATUS].value != b"{}", "the view")
        world.wait(lambda: world.consul.entries[HISTORY].value != b"{}", "the history")
    assert len(read_entries(world.consul)) == 1


class Bench:
    """A publisher whose clocks a test moves."""

    def __init__(self, consul: FakeConsul, epoch: int = 1) -> None:
        self.seconds = 0.0
        self.told: list[str] = []
        self.consul = consul
        lead = Lead("host:1", "2026-11-25T03:00:00Z", epoch, {})
        self.seen = Publisher(
            consul, "demo", lead, str, self.note, lambda: NOW, lambda: self.seconds, pause_s=5.0
        )

    def note(self, name: str, error: RitiError) -> None:
        self.told.append(f"{name}: {error}")

    def cycle(self, commit: str, *changed: str) -> None:
        self.seen.start_cycle(make_fleet(commit, "acme/a"))
        self.seen.note_cycle(make_done(commit=commit, changed=changed), Memory())

    def count(self) -> int:
        return self.consul.journal.writes.count(f"consul write {STATUS}")


def test_a_long_rollout_is_told_of_every_few_seconds() -> None:
    bench = Bench(FakeConsul())
    bench.cycle("c1", "acme/a")
    assert bench.count() == 1
    for _ in range(40):
        bench.seconds += 0.1
        bench.seen.start_cycle(make_fleet("c2", "acme/a"))
        bench.seen.note_unit()
    assert bench.count() == 1
    bench.seconds += 1.5
    bench.seen.note_unit()
    assert bench.count() == 2
    seen = read(bench.consul)
    assert seen is not None and seen.begun > 1 and not seen.whole
    bench.seen.note_cycle(make_done(commit="c2"), Memory())
    bench.seen.flush()
    assert bench.count() == 2
    bench.seconds += 5.0
    bench.seen.flush()
    bench.seen.flush()
    assert bench.count() == 3
    seen = read(bench.consul)
    assert seen is not None and seen.begun == 0 and seen.whole


def test_two_writers_lose_no_entry() -> None:
    consul = FakeConsul()
    one, other = Bench(consul), Bench(consul, epoch=2)
    one.cycle("c1", "acme/a")
    other.cycle("c2", "acme/b")
    one.cycle("c3", "acme/c")
    assert {entry.commit for entry in read_entries(consul)} == {"c1", "c2", "c3"}
    assert read_entries(consul)[0].commit == "c3"
    assert one.told == other.told == []


def test_it_reads_the_history_once() -> None:
    bench = Bench(FakeConsul())
    for commit in ("c1", "c2", "c3"):
        bench.cycle(commit, "acme/a")
    assert bench.consul.journal.requests.count(f"consul read {HISTORY}") == 1
    assert [entry.commit for entry in read_entries(bench.consul)] == ["c3", "c2", "c1"]


def test_lost_leadership_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(FakeConsul())

    def lose(key: str, value: bytes, modify_index: int) -> int:
        raise LeadershipLost.because("this controller leads no more", "")

    monkeypatch.setattr(bench.consul, "write", lose)
    with pytest.raises(LeadershipLost):
        bench.cycle("c1", "acme/a")
    assert bench.told == []
