"""What is news: each thing once, and to a new leader only what it saw change."""

from __future__ import annotations

from ritilib.reconcile.prune import REMOVALS_HELD, Waiting
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.tell.events import Event
from ritilib.sync.tell.known import Known, Lasting, Limits, learn_away, learn_cycle
from tests.unit.sync.tell.making import make_done, make_memory, problem

LIMITS = Limits(held_s=60.0, away_s=30.0)


class Told:
    """A leader that learns cycle after cycle."""

    def __init__(self, is_heir: bool) -> None:
        self.known, self.now_s = Known(is_heir=is_heir), 0.0

    def learn(self, done: Synced, memory: Memory | None = None) -> list[str]:
        return [event.kind for event in self.learn_events(done, memory)]

    def learn_events(self, done: Synced, memory: Memory | None = None) -> list[Event]:
        self.known, _, events = learn_cycle(self.known, done, memory or make_memory(), self.now_s, LIMITS)
        return events


def test_an_applied_commit_is_told_once() -> None:
    first = Told(is_heir=False)
    assert first.learn(make_done("c1", changed=("acme/a",))) == ["applied"]
    assert first.learn(make_done("c1")) == []
    assert first.learn(make_done("c2")) == ["applied"]
    assert first.learn(make_done("c2", changed=("acme/a",), healed=frozenset({"acme/a"}))) == []
    assert first.learn(make_done("c2", left=1)) == []
    assert first.learn(make_done("c2")) == []


def test_how_many_were_changed_counts_from_the_commits_beginning() -> None:
    first = Told(is_heir=False)
    assert first.learn(make_done("c1", changed=("acme/a",), left=1)) == []
    assert first.learn(make_done("c1", changed=("acme/a", "acme/b"), left=1)) == []
    [event] = first.learn_events(make_done("c1"))
    assert "2 changed" in event.text


def test_a_new_leader_does_not_repeat_what_stood_before_it_came() -> None:
    heir = Told(is_heir=True)
    assert heir.learn(make_done("c1")) == []
    assert heir.learn(make_done("c1")) == []
    assert heir.learn(make_done("c2")) == ["applied"]


def test_a_new_leader_whose_first_cycle_heals_drift_repeats_nothing() -> None:
    heir = Told(is_heir=True)
    assert heir.learn(make_done("c1", changed=("acme/a",), healed=frozenset({"acme/a"}))) == []


def test_a_new_leader_that_finishes_what_another_began_tells_it() -> None:
    heir = Told(is_heir=True)
    assert heir.learn(make_done("c1", changed=("acme/a",))) == ["applied"]
    heir = Told(is_heir=True)
    assert heir.learn(make_done("c1", watched=frozenset({"acme/a"}))) == []
    assert heir.learn(make_done("c1")) == ["applied"]


def go_back(commit: str) -> Synced:
    return make_done(commit, problems=(problem("acme/a did not come up"),), gone_back=frozenset({"acme/a"}))


def test_a_unit_that_goes_back_is_told_when_it_does() -> None:
    back = go_back("c1")
    stays = make_done(
        "c1", problems=(problem("acme/a stays what it was: so"),), refused=frozenset({"acme/a"})
    )
    for is_heir in (False, True):
        leader = Told(is_heir)
        assert leader.learn(back) == ["went-back"]
        assert leader.learn(stays) == []
    assert Told(is_heir=True).learn(stays) == []
    assert Told(is_heir=False).learn(stays) == ["went-back"]


def test_it_is_told_again_when_another_commit_goes_back_too() -> None:
    leader = Told(is_heir=False)
    back = go_back("c1")
    assert leader.learn(back) == ["went-back"]
    assert leader.learn(make_done("c2", watched=frozenset({"acme/a"}))) == []
    again = go_back("c2")
    assert leader.learn(again) == ["went-back"]


def fail(commit: str, *keys: str) -> Synced:
    said = tuple(problem(f"{key}: Vault denied") for key in keys)
    return make_done(commit, failed=frozenset(keys), problems=said)


def test_a_unit_that_fails_again_and_again_is_told_once() -> None:
    leader = Told(is_heir=False)
    assert leader.learn(fail("c1", "acme/a"), make_memory({"acme/a": 1})) == []
    assert leader.learn(fail("c1", "acme/a"), make_memory({"acme/a": 2})) == ["unit-failed"]
    assert leader.learn(fail("c1", "acme/a"), make_memory({"acme/a": 3})) == []
    not_due = make_done("c1", waiting=(Waiting("acme/a", None, "it is tried again then"),))
    assert leader.learn(not_due, make_memory({"acme/a": 3})) == []
    assert leader.learn(make_done("c1")) == ["applied"]
    assert leader.learn(fail("c1", "acme/a"), make_memory({"acme/a": 2})) == ["unit-failed"]


def test_fifty_that_fail_at_once_are_one_event() -> None:
    keys = [f"acme/b{n}" for n in range(50)]
    [event] = Told(is_heir=False).learn_events(fail("c1", *keys), make_memory(dict.fromkeys(keys, 2)))
    assert len(event.units) == 50


def test_a_new_leader_leaves_out_what_failed_from_its_beginning() -> None:
    heir = Told(is_heir=True)
    assert heir.learn(fail("c1", "acme/a"), make_memory({"acme/a": 1})) == []
    assert heir.learn(fail("c1", "acme/a", "acme/b"), make_memory({"acme/a": 2, "acme/b": 2})) == [
        "unit-failed"
    ]
    assert heir.learn(make_done("c1")) == ["applied"]
    assert heir.learn(fail("c1", "acme/a"), make_memory({"acme/a": 2})) == ["unit-failed"]


def test_another_commit_makes_it_news() -> None:
    heir = Told(is_heir=True)
    assert heir.learn(fail("c1", "acme/a"), make_memory({"acme/a": 1})) == []
    assert heir.learn(fail("c2", "acme/a"), make_memory({"acme/a": 2})) == ["unit-failed"]


def test_removals_that_are_held_are_told_once() -> None:
    held = make_done("c1", held=(problem("30 units of 40 are in no manifest", REMOVALS_HELD),))
    leader = Told(is_heir=False)
    assert leader.learn(held) == ["removals-held"]
    assert leader.learn(held) == []
    more = make_done("c1", held=(problem("31 units of 40 are in no manifest", REMOVALS_HELD),))
    assert leader.learn(more) == ["removals-held"]
    assert Told(is_heir=True).learn(held) == []


def test_calls_that_do_not_end_are_told_after_a_while() -> None:
    leader = Told(is_heir=True)
    held = make_done("c1", held=(problem("acme/a is held back: 1 call"),))
    assert leader.learn(held, make_memory(busy=("acme/a",))) == []
    leader.now_s = 59.0
    assert leader.learn(held, make_memory(busy=("acme/a", "acme/b"))) == []
    leader.now_s = 60.0
    [event] = leader.learn_events(held, make_memory(busy=("acme/a", "acme/b")))
    assert (event.kind, event.units) == ("held", ("acme/a",))
    leader.now_s = 500.0
    assert leader.learn(held, make_memory(busy=("acme/a",))) == []
    assert leader.learn(make_done("c1")) == ["applied"]
    assert leader.learn(held, make_memory(busy=("acme/a",))) == []
    leader.now_s = 600.0
    assert leader.learn(held, make_memory(busy=("acme/a",))) == ["held"]


def test_a_unit_of_which_nothing_runs_is_told_after_a_while() -> None:
    leader = Told(is_heir=True)
    down = make_done("c1", down=(problem("acme/a is not running: no host takes it"),), down_units=("acme/a",))
    assert leader.learn(down) == []
    leader.now_s = 30.0
    [event] = leader.learn_events(down)
    assert event.text.endswith("\nacme/a: … is not running: no host takes it")
    leader.now_s = 300.0
    assert leader.learn(down) == []


def test_a_server_that_is_away_is_told_after_a_while_and_when_it_is_back() -> None:
    part, away = ("Nomad", "Consul"), Lasting()

    def learn(now_s: float, *missing: str) -> list[str]:
        nonlocal away
        away, events = learn_away(away, part, missing, now_s, LIMITS)
        return [f"{event.kind} {event.text.split(' ')[0]}" for event in events]

    assert learn(0.0, "Consul") == []
    assert learn(29.0, "Consul") == []
    assert learn(30.0, "Consul", "Nomad") == ["away Consul"]
    assert learn(40.0, "Consul", "Nomad") == []
    assert learn(60.0, "Consul", "Nomad") == ["away Nomad"]
    away, events = learn_away(away, ("Git",), (), 61.0, LIMITS)
    assert events == []
    assert learn(62.0, "Nomad") == ["back Consul"]
    assert learn(63.0) == ["back Nomad"]
    assert learn(64.0, "Nomad") == []
    assert learn(65.0) == []
