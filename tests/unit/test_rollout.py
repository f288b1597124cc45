"""Whose turn it is: each row a state of a rollout, and what may happen next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.fleet.fleet_file import Rollout
from ritilib.reconcile.rollout import Member, Turn, find_turn
from ritilib.reconcile.waves import make_waves

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROLLOUT = Rollout(canaries=1, share_percent=20, pause_min=10)
KEYS = [f"acme/box-{number}" for number in range(11)]
CANARY = frozenset({"acme/box-0"})
FIRST, SECOND, THIRD = make_waves(KEYS, CANARY, ROLLOUT, "c1")
EARLIER, JUST = NOW - timedelta(minutes=11), NOW - timedelta(minutes=1)


def turn(states: dict[str, Member]) -> Turn:
    members = [states.get(key, Member(key, "pending")) for key in KEYS]
    return find_turn(members, CANARY, ROLLOUT, "c1", NOW)


def judged(keys: tuple[str, ...], stage: str = "good", since: datetime = EARLIER) -> dict[str, Member]:
    return {key: Member(key, stage, since, begun=True) for key in keys}  # type: ignore[arg-type]


def test_nothing_to_replace_is_nobodys_turn() -> None:
    assert find_turn([], CANARY, ROLLOUT, "c1", NOW) == Turn()


def test_the_canary_is_first() -> None:
    assert turn({}) == Turn(frozenset(FIRST), 1, 3)
    assert FIRST == ("acme/box-0",)


def test_a_watched_canary_lets_nobody_on() -> None:
    assert turn({FIRST[0]: Member(FIRST[0], "watched")}) == Turn(frozenset(), 1, 3)


def test_a_good_canary_is_looked_at_for_the_pause() -> None:
    assert turn(judged(FIRST, since=JUST)) == Turn(frozenset(), 1, 3, until=JUST + timedelta(minutes=10))
    assert turn(judged(FIRST)) == Turn(frozenset(SECOND), 2, 3)


def test_a_bad_canary_is_the_last() -> None:
    found = turn(judged(FIRST, "bad"))
    assert (found.may, found.stopped) == (frozenset(), "acme/box-0 did not come up with it, and went back")


def test_a_busy_canary_is_waited_for() -> None:
    """It may be replaced as soon as it has no call; nobody else is before it."""
    assert turn({FIRST[0]: Member(FIRST[0], "pending", busy=True)}) == Turn(frozenset(FIRST), 1, 3)


def test_a_busy_box_of_a_later_wave_stops_nobody() -> None:
    busy, *others = SECOND
    states = judged((*FIRST, *others)) | {busy: Member(busy, "pending", busy=True)}
    found = turn(states)
    [other] = found.may
    assert (other in THIRD, found.wave) == (True, 2), "another one has its place in the second wave"
    assert turn(states | judged((other,))) == Turn(frozenset({busy, *THIRD}) - {other}, 3, 3)


def test_a_busy_box_gives_its_place_to_another_and_comes_with_the_last() -> None:
    """A line that is open for hours holds up neither a wave of one nor those behind it."""
    keys = KEYS[:5]
    order = [
        wave[0] for wave in make_waves(keys, frozenset(), Rollout(canaries=1, share_percent=1), "c1")[:2]
    ]

    def find(**states: Member) -> Turn:
        members = [states.get(key, Member(key, "pending")) for key in keys]
        return find_turn(members, frozenset(), Rollout(canaries=1, share_percent=1), "c1", NOW)

    first, second = order
    states = {first: Member(first, "pending", busy=True)}
    assert find(**states).may == {second}, "the next one is the canary instead"
    states[second] = Member(second, "watched", begun=True)
    assert find(**states).may == frozenset()
    states[first] = Member(first, "pending")  # its call has ended: it waits like others
    states[second] = Member(second, "good", EARLIER, begun=True)
    assert (find(**states).may, find(**states).wave) == ({first}, 2)
    states[first] = Member(first, "pending", busy=True)
    [third] = find(**states).may
    states[third] = Member(third, "good", EARLIER, begun=True)
    assert find(**states) == Turn(frozenset(keys) - {second, third}, 3, 3)


def test_one_bad_box_after_the_canaries_stops_nobody_and_two_do() -> None:
    one = judged(FIRST) | judged(SECOND) | judged(SECOND[:1], "bad")
    assert turn(one) == Turn(frozenset(THIRD), 3, 3)
    two = one | judged(SECOND[1:2], "bad")
    assert (turn(two).may, bool(turn(two).stopped)) == (frozenset(), True)


def test_ten_bad_boxes_of_a_thousand_stop_nobody() -> None:
    keys = [f"acme/box-{number}" for number in range(1000)]
    waves = make_waves(keys, CANARY, ROLLOUT, "c1")
    bad = set(waves[1][:10])
    members = [
        Member(key, "bad" if key in bad else "good", EARLIER)
        if key not in waves[2]
        else Member(key, "pending")
        for key in keys
    ]
    assert find_turn(members, CANARY, ROLLOUT, "c1", NOW).may == set(waves[2])


def test_when_all_are_done_nobody_is_left() -> None:
    assert turn(judged(tuple(KEYS))) == Turn(frozenset(), 3, 3)


stages = st.sampled_from(["pending", "watched", "good", "bad"])


@given(st.dictionaries(st.sampled_from(KEYS), st.tuples(stages, st.integers(0, 20), st.booleans())))
def test_only_who_waits_is_replaced_and_only_behind_good_ones(
    states: dict[str, tuple[str, int, bool]],
) -> None:
    members = {
        key: Member(key, stage, NOW - timedelta(minutes=ago) if stage in ("good", "bad") else None, busy)  # type: ignore[arg-type]
        for key, (stage, ago, busy) in states.items()
    }
    found = turn(members)
    assert all(members.get(key, Member(key, "pending")).stage == "pending" for key in found.may)
    if found.may & {*SECOND, *THIRD}:
        canary = members[FIRST[0]]
        assert canary.stage == "good" and canary.since and canary.since <= NOW - timedelta(minutes=10)


@pytest.mark.parametrize("stage", ["good", "bad"])
def test_it_is_the_same_whoever_asks(stage: str) -> None:
    states = judged(SECOND, stage)
    assert turn(states) == turn({key: replace(one) for key, one in reversed(states.items())})
