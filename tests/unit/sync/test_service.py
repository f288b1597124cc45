"""The loop on fakes: what it does when the world around it does what it should not."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import partial

import pytest

from ritilib.errors import Denied, LeadershipLost, ServerError, Unreachable
from ritilib.sync import drift
from ritilib.sync.pausing import resume, suspend
from ritilib.sync.service import MOST_DENIED
from tests.unit.removing import GRACE, WEEK, name
from tests.unit.sync.serving import World, make_fleet


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PAUSE_S", 0.01)
    monkeypatch.setattr(drift, "WAIT_S", 0.1)


@pytest.fixture
def world() -> World:
    return World()


def test_a_merge_is_applied_and_so_is_the_next(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the first box")
        assert world.board.standing.list_lacks() == []
        assert world.board.standing.role == "leads"
        world.push(make_fleet("c2", "acme/a", "acme/b"))
        world.wait(lambda: world.is_running("acme/b"), "the second box")
        world.wait(lambda: "commit=c2" in world.log.getvalue(), "the journal")
    assert world.read_epoch() == (1, False)


def test_it_waits_for_the_first_commit(world: World) -> None:
    with world.serve():
        world.wait(lambda: "no answer" in world.log.getvalue(), "the journal")
        assert world.board.standing.list_lacks() != []
        world.push(make_fleet("c1", "acme/a"))
        world.wait(lambda: world.is_running("acme/a"), "the box")


def test_while_git_is_down_drift_is_healed_and_nothing_deleted(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a", "acme/b"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/b"), "both boxes")
        world.push(make_fleet("c2", "acme/a"))
        world.wait(lambda: bool(world.read_record("acme/b").absent_since), "the mark")
        world.forge.is_away = True
        world.asks.wake("webhook")
        world.wait(lambda: not world.source.is_current, "Git's failure")
        world.pass_time(GRACE + WEEK)
        world.deface("acme/a")
        world.wait(lambda: not world.is_defaced("acme/a"), "the value")
        world.wait_cycle()
        assert world.is_running("acme/b")
        world.forge.is_away = False
        world.asks.wake("webhook")
        world.wait(lambda: world.source.is_current, "Git")
        world.wait_cycle()
        world.wait(lambda: not world.is_running("acme/b"), "its removal")


def test_after_a_restart_without_git_the_last_commit_is_in_force(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the box")
    world.deface("acme/a")
    world.forge.is_away = True
    world.start_anew()
    with world.serve():
        world.wait(lambda: not world.is_defaced("acme/a"), "the value")
    assert world.read_epoch() == (2, False)


def test_a_mirror_that_stayed_behind_turns_nothing_back(world: World) -> None:
    """It follows for days without Git, and leads when Git is away: what another applied is newer than what it knows."""
    world.forge.push(make_fleet("c1", "acme/a", image="one"))
    old = world.forge.fetch()
    world.forge.push(make_fleet("c2", "acme/a", image="two"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the box")
    world.forge.is_away, world.forge.accepted = True, old
    del world.forge.known["c2"]
    world.start_anew()
    with world.serve():
        world.wait(lambda: world.read_epoch()[0] >= 3, "another try to lead")
        assert world.read_image("acme/a") == "two"
        assert world.nomad.jobs[name("acme/a").job_id]["Version"] == 0
        world.forge.is_away = False
        world.push(make_fleet("c2", "acme/a", image="two"))
        world.deface("acme/a")
        world.wait(lambda: not world.is_defaced("acme/a"), "the value")
    assert world.read_image("acme/a") == "two"


def test_an_empty_mirror_takes_no_rewritten_branch(world: World) -> None:
    world.forge.push(make_fleet("c2", "acme/a", "acme/b"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/b"), "both boxes")
    world.forge.accepted = None
    del world.forge.known["c2"]
    world.push(make_fleet("c1", "acme/a", image="two"))
    world.start_anew()
    with world.serve():
        world.wait(lambda: "the branch was rewritten" in world.log.getvalue(), "the refusal")
    assert world.read_image("acme/a") == "one"
    assert not world.read_record("acme/b").absent_since


def test_a_commit_that_cannot_be_used_leaves_the_last_good_one_in_force(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a", "acme/b"))
    world.forge.bad.add("c2")
    with world.serve():
        world.wait(lambda: world.is_running("acme/b"), "both boxes")
        world.push(make_fleet("c2", "acme/a"))
        world.wait(lambda: "c2 cannot be used" in world.log.getvalue(), "the journal")
        world.deface("acme/a")
        world.wait(lambda: not world.is_defaced("acme/a"), "the value")
        assert not world.read_record("acme/b").absent_since
        world.asks.wake("webhook")
        world.wait_cycle()
        assert world.forge.reads.count("c2") == 1
        world.push(make_fleet("c3", "acme/a", "acme/c"))
        world.wait(lambda: world.is_running("acme/c"), "the third box")


def test_leadership_lost_in_the_middle_is_stood_for_again(world: World) -> None:
    lost: list[str] = []

    def lose(words: str) -> None:
        if words == "consul write policy pbx-demo--acme--b" and not lost:
            lost.append(words)
            for session in list(world.consul.sessions):
                world.consul.destroy_session(session)
            # the keeper finds out, and the next write would be refused
            world.wait(world.has_lost, "the end of the session")
            raise LeadershipLost.because("this controller leads no more", "")

    world.journal.on_write = lose
    world.forge.push(make_fleet("c1", "acme/a", "acme/b", "acme/c"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/c"), "all boxes")
        assert world.read_record("acme/b").state == "applied"
        assert world.read_epoch() == (2, True)
    assert lost and world.read_epoch() == (2, False)


def test_revoked_tokens_are_stood_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    denied: list[str] = []
    list_jobs = world.nomad.list_jobs

    def deny(prefix: str):
        if not denied:
            denied.append(prefix)
            raise Denied.because("Nomad denied: list jobs", "take another token")
        return list_jobs(prefix)

    monkeypatch.setattr(world.nomad, "list_jobs", deny)
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the box")
    assert world.read_epoch() == (2, False)


def test_it_ends_where_its_standing_tokens_stay_worthless(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nomad then replaces it by an allocation with tokens of its own."""
    asked: list[None] = []

    def deny() -> None:
        asked.append(None)
        raise Denied.because("Vault denied: renew our own token", "take another token")

    world.forge.push(make_fleet("c1", "acme/a"))
    monkeypatch.setattr(world.vault, "renew_token", deny)
    with world.source, pytest.raises(Denied, match="renew our own token"):
        world.service.serve()
    assert len(asked) == MOST_DENIED
    assert world.read_epoch() == (0, False)


def test_a_denial_that_passes_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [MOST_DENIED - 1]

    def deny() -> None:
        if left[0] > 0:
            left[0] -= 1
            raise Denied.because("Vault denied: renew our own token", "take another token")

    world.forge.push(make_fleet("c1", "acme/a"))
    monkeypatch.setattr(world.vault, "renew_token", deny)
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the box")


def test_a_watch_that_is_denied_has_the_tokens_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop itself would not ask for minutes."""
    world.forge.push(make_fleet("c1", "acme/a"))
    is_revoked = [False]
    ask = {name: getattr(world.consul, name) for name in ("list_keys", "read_tree")}

    def deny(name: str, *arguments: object):
        if is_revoked[0] and world.read_epoch()[0] == 1:
            raise Denied.because("Consul denied", "take another token")
        return ask[name](*arguments)

    for name_ in ask:
        monkeypatch.setattr(world.consul, name_, partial(deny, name_))
    with world.serve():
        world.wait(lambda: "commit=c1" in world.log.getvalue(), "the first cycle")
        is_revoked[0] = True
        world.wait(lambda: world.read_epoch() == (2, True), "the next leadership")
        world.deface("acme/a")
        world.wait(lambda: not world.is_defaced("acme/a"), "the value")


def test_many_boxes_by_a_crew_are_all_there_and_then_it_is_quiet() -> None:
    world = World(crew=4)
    boxes = tuple(f"acme/b{number:02}" for number in range(30))
    world.forge.push(make_fleet("c1", *boxes))
    with world.serve():
        world.wait(lambda: "whole=true" in world.log.getvalue(), "the whole commit")
        world.wait(world.is_quiet, "an end of its own wakes")
        before = len(world.journal.writes)
        world.wait_cycle()
        assert len(world.journal.writes) == before
    assert all(world.is_running(key) for key in boxes)


def test_one_bad_unit_delays_none_and_is_tried_again(world: World) -> None:
    tries: list[str] = []
    is_bad = [True]

    def refuse(words: str) -> None:
        if words == "consul write policy pbx-demo--acme--b" and is_bad[0]:
            tries.append(words)
            world.consul.policies.pop("pbx-demo--acme--b")
            raise ServerError.because("Consul refused the policy", "see its log")

    world.journal.on_write = refuse
    world.forge.push(make_fleet("c1", "acme/a", "acme/b", "acme/c"))
    with world.serve():
        world.wait(lambda: len(tries) >= 2, "two tries")
        assert world.is_running("acme/a") and world.is_running("acme/c")
        assert not world.is_running("acme/b")
        world.push(make_fleet("c2", "acme/a", "acme/b", "acme/c", "acme/d"))
        world.wait(lambda: world.is_running("acme/d"), "a box of the next merge")
        is_bad[0] = False
        world.wait(lambda: world.is_running("acme/b"), "the mended box")
    assert world.read_epoch() == (1, False)


def test_a_server_that_is_away_is_told_of_and_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away = [True]
    read_tree = world.consul.read_tree

    def read(prefix: str):
        if is_away[0]:
            raise Unreachable.because("Consul at 127.0.0.1 gave no answer", "wait")
        return read_tree(prefix)

    monkeypatch.setattr(world.consul, "read_tree", read)
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: world.board.standing.unreachable == ("Consul",), "the board")
        is_away[0] = False
        world.wait(lambda: world.is_running("acme/a"), "the box")
        world.wait(lambda: world.board.standing.unreachable == (), "the board")


def test_a_busy_pbx_is_looked_at_again_until_it_has_no_call(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the box")
        world.calls["acme/a"] = 1
        world.push(make_fleet("c2", "acme/a", image="two"))
        world.wait(lambda: "held" in world.log.getvalue(), "the journal")
        world.wait_cycle()
        assert world.read_image("acme/a") == "one"
        world.calls.clear()
        world.wait(lambda: world.read_image("acme/a") == "two", "the new image")
        world.wait(lambda: world.read_record("acme/a").judged == "good", "its judgement")
    told = world.log.getvalue()
    assert (
        told.count("info    held") == told.count('info    unit box=acme/a why="dial plan or peers, job"') == 1
    )


def test_it_ends_after_the_unit_in_hand(world: World) -> None:
    def stop(words: str) -> None:
        if words == "consul write policy pbx-demo--acme--a":
            world.service.stop()

    world.journal.on_write = stop
    world.forge.push(make_fleet("c1", "acme/a", "acme/b"))
    with world.serve():
        world.wait(lambda: world.read_epoch() == (1, False), "the lock")
    assert world.read_record("acme/a").state == "applied"
    assert world.is_running("acme/a")
    assert name("acme/b").job_id not in world.nomad.jobs


def test_a_newer_commit_ends_what_an_older_one_began(world: World) -> None:
    newer = make_fleet("c2", "acme/a", "acme/c")

    def push(words: str) -> None:
        if words == "consul write policy pbx-demo--acme--a" and world.source.desired is not newer:
            world.push(newer)
            world.wait(lambda: world.source.desired is newer, "the newer commit")

    world.journal.on_write = push
    world.forge.push(make_fleet("c1", "acme/a", "acme/b"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/c"), "the newer commit's box")
    assert name("acme/b").job_id not in world.nomad.jobs


def hold(world: World, scope: str, **ends: datetime) -> None:
    suspend(world.consul, "demo", scope, "calls drop", "ana", world.now, **ends)


def test_a_suspension_wakes_it_and_lifting_it_does(world: World) -> None:
    """Nothing but the entry in Consul tells it: it polls once an hour."""
    world.forge.push(make_fleet("c1", "acme/a"))
    with world.serve():
        world.wait(lambda: world.is_running("acme/a"), "the box")
        hold(world, "acme")
        world.wait(lambda: "suspended scope=acme" in world.log.getvalue(), "the suspension in the journal")
        world.push(make_fleet("c2", "acme/a", "acme/b"))
        world.wait(
            lambda: "what=" in world.log.getvalue() and "acme/b (new)" in world.log.getvalue(), "it is said"
        )
        world.wait_cycle()
        assert not world.is_running("acme/b")
        resume(world.consul, "demo", "acme", "ana", world.now)
        world.wait(lambda: world.is_running("acme/b"), "the second box")
        world.wait(lambda: "resumed scope=acme" in world.log.getvalue(), "that it is lifted in the journal")
        world.wait_cycle()
    figures = {one.labels["state"]: one.value for one in world.metrics.units.collect()[0].samples}
    assert figures["paused"] == 0


def test_what_is_suspended_is_counted_by_itself(world: World) -> None:
    world.forge.push(make_fleet("c1", "acme/a", "acme/b", "zorro/c"))
    hold(world, "acme")
    with world.serve():
        world.wait(lambda: world.is_running("zorro/c"), "the box of another company")
        world.wait_cycle()
    figures = {one.labels["state"]: one.value for one in world.metrics.units.collect()[0].samples}
    assert (figures["paused"], figures["held"], figures["failed"]) == (2, 0, 0)
    assert world.log.getvalue().count("suspended scope=acme") == 1  # said once, whatever comes after


def test_a_suspension_ends_the_cycle_that_is_under_way(world: World) -> None:
    """Of many boxes to be made, none is begun after it."""
    boxes = [f"acme/b{number}" for number in range(30)]
    written: list[str] = []

    def hold_soon(words: str) -> None:
        if "write riti/demo/inventory/acme/" in words:
            written.append(words)
        if len(written) == 3:
            written.append(words)  # once
            hold(world, "")
            world.wait(lambda: world.wakeups.is_told("suspension"), "the watch")

    world.journal.on_write = hold_soon
    world.forge.push(make_fleet("c1", *boxes))
    with world.serve():
        world.wait(lambda: "suspended scope=" in world.log.getvalue(), "the suspension")
        world.wait_cycle()
        made = [box for box in boxes if world.is_running(box)]
        assert 1 <= len(made) <= 3
        resume(world.consul, "demo", "", "ana", world.now)
        world.wait(lambda: all(world.is_running(box) for box in boxes), "all boxes")


def test_it_wakes_when_a_suspension_is_over(world: World) -> None:
    """By itself, and by its own clock, which runs here."""
    began_s, start = time.monotonic(), world.now
    world.service.clock = lambda: start + timedelta(seconds=time.monotonic() - began_s)
    world.forge.push(make_fleet("c1", "acme/a"))
    hold(world, "", until=start + timedelta(seconds=5))
    with world.serve():
        world.wait(lambda: "suspended scope=" in world.log.getvalue(), "the suspension")
        assert not world.is_running("acme/a")
        world.wait(lambda: world.is_running("acme/a"), "the box")
