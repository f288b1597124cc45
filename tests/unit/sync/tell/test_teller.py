"""What is told while the loop runs on fakes: by the leader alone, of what it saw."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ritilib.clients.forge import Status
from ritilib.errors import GitopsError, HistoryRefused, Unreachable
from ritilib.gitops.history import Accepted
from ritilib.reconcile.rollout import Turn
from ritilib.sync import drift
from ritilib.sync.tell.channels import Notice
from ritilib.sync.tell.known import Limits
from ritilib.sync.tell.outbox import Letter, Outbox
from ritilib.sync.tell.teller import STATUSES, Teller
from ritilib.sync.web.metrics import Metrics
from tests.unit.sync.serving import World, make_fleet
from tests.unit.sync.tell.making import FakeChannel, make_done, make_memory, problem


class Desk:
    """A teller whose outbox is read instead of sent."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.letters: list[Letter] = []
        channels = {"forge": FakeChannel(), "notify-1": FakeChannel()}
        outbox = Outbox(channels, Metrics(), lambda name, error: None)
        self.unsent: list[str] = []
        outbox.put = self.letters.append  # type: ignore[method-assign]
        outbox.void = lambda: self.unsent  # type: ignore[method-assign]
        self.now_s = 0.0
        self.teller = Teller(
            outbox,
            "host:1",
            lambda text: text.replace("secret", "[hidden]"),
            limits,
            monotonic=lambda: self.now_s,
        )

    def take(self) -> list[str]:
        """What was said since the last time: "c1 pending: words" and "kind: text"."""
        said = [describe(letter.what) for letter in self.letters]
        self.letters.clear()
        return said


def describe(what: object) -> str:
    if isinstance(what, Status):
        return f"{what.commit} {what.state}: {what.words}"
    assert isinstance(what, Notice)
    said: dict[str, Any] = json.loads(what.body)
    return f"{said['event']}: {said['text'].removeprefix('RITI, fleet demo: ')}"


def test_a_merge_from_its_beginning_to_its_end() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    assert desk.take() == ["leader: host:1 leads from now on (leader number 1)"]
    desk.teller.note_commit("c1")
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take() == [
        "c1 success: 12 units as wished",
        "applied: commit c1 is applied: 12 units as wished, nothing had to be changed",
    ]
    desk.teller.note_commit("c2")
    desk.teller.note_cycle(
        make_done("c2", changed=("acme/a",), turn=Turn(wave=1, waves=2), left=1), make_memory()
    )
    desk.teller.note_cycle(make_done("c2", turn=Turn(wave=1, waves=2), left=1), make_memory())
    assert desk.take() == [
        "c2 pending: it is being applied",
        "c2 pending: rollout: wave 1 of 2; 1 left to do",
    ]
    desk.teller.note_cycle(make_done("c2"), make_memory())
    assert desk.take()[0] == "c2 success: 12 units as wished"
    desk.teller.note_commit("c2")
    desk.teller.note_cycle(make_done("c2"), make_memory())
    assert desk.take() == []


def test_a_follower_says_nothing() -> None:
    desk = Desk()
    desk.teller.note_commit("c1")
    desk.teller.note_cycle(make_done("c1"), make_memory())
    desk.teller.note_look("c2", GitopsError.because("bad", "render"))
    desk.teller.note_failed_cycle("c1", Unreachable.because("Consul at x", ""), ("Consul",))
    assert desk.take() == []


def test_a_commit_that_is_refused_is_told_once_and_the_status_again_by_the_next_leader() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    desk.take()
    for _ in range(3):
        desk.teller.note_look("c2", GitopsError.because("a secret manifest is stale", "render again"))
    assert desk.take() == [
        "c2 failure: a [hidden] manifest is stale; render again",
        "refused: commit c2 is refused, and the one before stays in force: a [hidden] manifest is stale; render again",
    ]
    desk.teller.note_other()
    desk.teller.note_lead("demo", 3)
    assert desk.take() == [
        "leader: host:1 leads from now on (leader number 3)",
        "c2 failure: a [hidden] manifest is stale; render again",
    ]
    desk.teller.note_look("c3", None)
    desk.teller.note_look("c4", GitopsError.because("bad", "render again"))
    assert len(desk.take()) == 2


def test_a_commit_of_another_repository_is_a_failure() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    desk.take()
    desk.teller.note_failed_cycle(
        "c1", GitopsError.because("belongs to another repository", "give another"), ()
    )
    assert desk.take() == ["c1 failure: belongs to another repository; give another"]


def test_its_own_next_term_is_no_news() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    desk.teller.note_cycle(make_done("c1"), make_memory())
    desk.take()
    desk.teller.note_lost()
    desk.teller.note_lead("demo", 2)
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take() == []
    desk.teller.note_lost()
    desk.teller.note_lead("demo", 4)
    assert desk.take() == ["leader: host:1 leads from now on (leader number 4)"]


def test_a_status_that_was_not_sent_when_the_term_ended_is_said_in_the_next() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take()[1] == "c1 success: 12 units as wished"
    desk.unsent = ["c1"]
    desk.teller.note_lost()
    desk.teller.note_lead("demo", 2)
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take() == ["c1 success: 12 units as wished"]


def test_what_happens_to_units_later_is_no_matter_of_a_commit_that_was_applied() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    desk.teller.note_cycle(make_done("c1"), make_memory())
    desk.take()
    failed = {"problems": (problem("acme/a: Vault denied"),), "failed": frozenset({"acme/a"})}
    desk.teller.note_cycle(make_done("c1", **failed), make_memory({"acme/a": 2}))
    assert [said.split(":")[0] for said in desk.take()] == ["unit-failed"]
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take() == []


def test_an_outage_that_takes_the_lead_away_is_told_by_whoever_led_last() -> None:
    desk = Desk(Limits(away_s=60.0))
    desk.teller.note_lead("demo", 1)
    desk.take()
    desk.teller.note_lost()
    away = Unreachable.because("Consul at x gave no answer", "")
    desk.teller.note_failed_cycle("c1", away, ("Consul",))
    desk.teller.note_look("", Unreachable.because("no forge", ""))
    desk.now_s = 61.0
    desk.teller.note_failed_cycle("c1", away, ("Consul",))
    assert desk.take() == [
        "away: Consul, the fleet's repository do not answer since 1 min; what runs goes on"
    ]
    desk.teller.note_look("c1", None)
    assert desk.take() == ["back: the fleet's repository answers again"]
    desk.teller.note_lead("demo", 2)
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take() == [
        "back: Consul answers again",
        "c1 success: 12 units as wished",
        "applied: commit c1 is applied: 12 units as wished, nothing had to be changed",
    ]
    desk.teller.note_failed_cycle("c1", away, ("Consul",))
    desk.teller.note_other()
    desk.now_s = 500.0
    desk.teller.note_failed_cycle("c1", away, ("Consul",))
    assert desk.take() == []


def test_a_commit_that_was_overtaken_does_not_stay_pending() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    for commit in ("c1", "c2", "c3"):
        desk.teller.note_cycle(make_done(commit, left=1), make_memory())
    desk.teller.note_cycle(make_done("c2", held=(problem("stale", "company-stale"),)), make_memory())
    desk.take()
    desk.teller.note_cycle(make_done("c3"), make_memory())
    assert desk.take()[:2] == [
        "c3 success: 12 units as wished",
        "c1 success: applied with commit c3, which came after it",
    ]


def test_a_commit_gets_no_more_statuses_than_a_forge_keeps() -> None:
    desk = Desk()
    desk.teller.note_lead("demo", 1)
    desk.take()
    for left in range(1, 1500):
        desk.teller.note_cycle(make_done("c1", left=left), make_memory())
    assert len(desk.take()) == STATUSES
    desk.teller.note_cycle(make_done("c1"), make_memory())
    assert desk.take()[0] == "c1 success: 12 units as wished"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(drift, "PAUSE_S", 0.01)
    monkeypatch.setattr(drift, "WAIT_S", 0.1)
    made = World(told={"forge": FakeChannel(), "notify-1": FakeChannel()})
    return made


def read_told(world: World) -> list[str]:
    channels = [channel for channel in world.told.values() if isinstance(channel, FakeChannel)]
    return [describe(what) for channel in channels for what in channel.sent]


def has_told(world: World, words: str) -> bool:
    """Whether something that begins so was told. The fakes' Nomad runs nothing, which a status may say too."""
    return any(said.startswith(words) for said in read_told(world))


def test_the_loop_tells_of_a_merge_and_of_a_refused_one(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    world.forge.bad.add("c2")
    with world.serve():
        world.wait(lambda: has_told(world, "c1 success: 1 unit as wished"), "the first status")
        world.push(make_fleet("c2", "acme/a"))
        world.wait(lambda: has_told(world, "c2 failure: c2 cannot be used; render again"), "the refusal")
        world.push(make_fleet("c3", "acme/a", "acme/b"))
        world.wait(lambda: has_told(world, "c3 success: 2 units as wished"), "the last status")
    kinds = [said.split(":")[0] for said in read_told(world) if said[0] != "c"]
    assert kinds == ["leader", "applied", "refused", "applied"]


def test_the_next_leader_repeats_no_notification(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: any(said.startswith("applied") for said in read_told(world)), "the first leader")
    world.told = {"forge": FakeChannel(), "notify-1": FakeChannel()}
    world.start_anew()
    with world.serve():
        world.wait(lambda: has_told(world, "c1 success: 1 unit as wished"), "the next leader's status")
        world.wait_cycle()
    assert [said for said in read_told(world) if said[0] != "c"] == [
        "leader: test leads from now on (leader number 2)"
    ]


def test_a_rewritten_branch_is_told_by_its_tip(world: World) -> None:
    world.forge.push(make_fleet("c2", "acme/a"))
    with world.serve():
        world.wait(lambda: has_told(world, "c2 success"), "the first status")
        del world.forge.known["c2"]
        world.forge.push(make_fleet("c1", "acme/a"))
        with pytest.raises(HistoryRefused):
            world.source.bind(Accepted("c2", "root", "id"))
        world.wait(lambda: has_told(world, "refused: commit c1 is refused"), "the refusal")
        world.wait(
            lambda: has_told(world, "c1 failure: the branch was rewritten; push the old"), "its status"
        )


def test_a_forge_that_hangs_holds_nothing_up_and_the_end_waits_a_moment_only(world: World) -> None:
    forge = world.told["forge"]
    assert isinstance(forge, FakeChannel)
    forge.free.clear()
    world.outbox.end_s = 0.05
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: forge.attempts == 1, "the status that hangs")
        world.push(make_fleet("c2", "acme/a", "acme/b"))
        world.wait(lambda: world.is_running("acme/b"), "the second box")
    assert world.read_epoch() == (1, False)
    assert forge.sent == []
