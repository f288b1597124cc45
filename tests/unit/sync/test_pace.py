"""When a unit is due and when the next cycle is, as decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ritilib.reconcile.restarts import Restart
from ritilib.sync.backoff import Failing
from ritilib.sync.pace import Memory, Pace, find_pause, forget_old, learn, list_not_due, note_failed
from ritilib.sync.synced import Synced

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PACE = Pace()
QUIET = Synced("c1", (), (), (), 2, (), (), (), 7)


def middle() -> float:
    return 0.5


def wish(keys: Iterable[str], text: str = "wish") -> Mapping[str, str]:
    return dict.fromkeys(keys, text)


def test_a_quiet_cycle_is_followed_by_the_longest_wait() -> None:
    memory = learn(Memory(), QUIET, (), wish, 0.0, PACE, middle)
    assert (memory.floor, memory.failures) == (7, 0)
    assert find_pause(memory, QUIET, NOW, 0.0, PACE, middle) == PACE.longest_s


def test_what_nomad_said_is_for_the_next_cycle_and_outlives_one_that_could_not_read() -> None:
    restarts = {"acme/a": Restart("job", 7)}
    memory = learn(Memory(), replace(QUIET, restarts=restarts), (), wish, 0.0, PACE, middle)
    assert forget_old(note_failed(memory), "c2", wish).restarts == restarts
    assert learn(memory, QUIET, (), wish, 0.0, PACE, middle).restarts == {}


def test_what_becomes_due_by_time_alone_ends_the_wait() -> None:
    soon = replace(QUIET, due=NOW + timedelta(seconds=30))
    assert find_pause(Memory(), soon, NOW, 0.0, PACE, middle) == 30
    assert find_pause(Memory(), soon, NOW + timedelta(hours=1), 0.0, PACE, middle) == 0


def test_a_replaced_unit_is_looked_at_soon() -> None:
    watched = replace(QUIET, watched=frozenset({"acme/a"}))
    assert find_pause(Memory(), watched, NOW, 0.0, PACE, middle) == PACE.watched_s
    rotating = replace(QUIET, rotating=frozenset({"acme/a"}))
    assert find_pause(Memory(), rotating, NOW, 0.0, PACE, middle) == PACE.watched_s


def test_a_busy_unit_is_left_alone_for_a_moment_and_stays_busy() -> None:
    memory = learn(Memory("c1"), replace(QUIET, busy=frozenset({"acme/a"})), (), wish, 100.0, PACE, middle)
    not_due = list_not_due(memory, NOW, 101.0, PACE)
    assert not_due == {"acme/a": NOW + timedelta(seconds=PACE.busy_s - 1)}
    assert find_pause(memory, QUIET, NOW, 101.0, PACE, middle) == PACE.busy_s - 1
    after = learn(memory, QUIET, not_due, wish, 101.0, PACE, middle)
    assert after.busy == {"acme/a": 100.0}
    assert list_not_due(after, NOW, 100.0 + PACE.busy_s, PACE) == {}
    assert learn(after, QUIET, (), wish, 106.0, PACE, middle).busy == {}


def test_another_commit_makes_the_busy_due_and_waits_for_none_of_them() -> None:
    memory = learn(Memory("c1"), replace(QUIET, busy=frozenset({"acme/a"})), (), wish, 100.0, PACE, middle)
    after = forget_old(memory, "c2", wish)
    assert list_not_due(after, NOW, 100.0, PACE) == {}
    assert after.busy.keys() == {"acme/a"}


def test_a_unit_that_fails_is_tried_later_and_later_until_it_is_wished_anew() -> None:
    failed = replace(QUIET, failed=frozenset({"acme/a"}))
    memory = learn(Memory(), failed, (), wish, 0.0, PACE, middle)
    first = memory.failing["acme/a"].retry_at_s
    assert find_pause(memory, failed, NOW, 0.0, PACE, middle) == first
    assert list_not_due(memory, NOW, first - 1, PACE).keys() == {"acme/a"}
    assert list_not_due(memory, NOW, first, PACE) == {}
    again = learn(memory, failed, (), wish, first, PACE, middle)
    assert again.failing["acme/a"].retry_at_s - first > first
    assert forget_old(again, "c1", wish).failing == again.failing
    assert forget_old(again, "c2", lambda keys: wish(keys, "another")).failing == {}
    assert forget_old(again, "c2", lambda keys: {}).failing == {}
    assert learn(again, QUIET, (), wish, 100.0, PACE, middle).failing == {}


def test_a_failure_stands_while_it_is_not_tried() -> None:
    memory = Memory(failing={"acme/a": Failing("wish", 1, 50.0)})
    assert learn(memory, QUIET, ("acme/a",), wish, 0.0, PACE, middle).failing == memory.failing
    assert learn(memory, replace(QUIET, left=3), (), wish, 0.0, PACE, middle).failing == memory.failing
    done = replace(QUIET, left=3, changed=("acme/a",))
    assert learn(memory, done, (), wish, 0.0, PACE, middle).failing == {}


@given(st.integers(1, 100))
def test_a_cycle_that_fails_is_run_again_within_a_minute(failures: int) -> None:
    memory = Memory()
    for _ in range(failures):
        memory = note_failed(memory)
    pause = find_pause(memory, None, NOW, 0.0, PACE, middle)
    assert 0 < pause <= PACE.cycle.longest_s
    assert learn(memory, QUIET, (), wish, 0.0, PACE, middle).failures == 0
    assert learn(memory, replace(QUIET, left=1), (), wish, 0.0, PACE, middle).failures == failures + 1
