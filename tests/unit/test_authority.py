"""The overlay's authority replaced: who is waited for, and that no order of events cuts a tunnel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.errors import GitopsError
from ritilib.reconcile import authority
from ritilib.reconcile.authority import (
    CERTIFICATE_HOURS,
    MOST_NAMED,
    TIMING,
    Member,
    Standing,
    Wished,
    decide,
    find_next_turn,
    find_turn,
    needs_members,
    read_standing,
    why_due,
)

NOW = datetime(2026, 11, 25, tzinfo=UTC)
TWO, TWO_AT_ONCE = Wished(2), Wished(2, at_once=True)
SPREADING = authority.begin(Standing(), TWO, NOW)
RENEWING = authority.sign(SPREADING, TWO, NOW)
PBX = Member("acme/salto", "pbx", 2, 1)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_nothing_is_done_while_nothing_is_wished() -> None:
    for wished in (Wished(), Wished(at_once=True)):
        step = decide(Standing(), wished, (), NOW)
        assert (step.action, step.again_s) == ("rest", None)
    # a number that is taken back
    assert decide(Standing(3), TWO, (), NOW).action == "rest"


def test_another_is_begun_where_one_is_wished() -> None:
    assert decide(Standing(), TWO, (), NOW).action == "begin"
    begun = authority.begin(Standing(), Wished(7), NOW)
    assert (begun.phase, begun.generation, begun.next, begun.edition) == ("spreading", 1, 7, 2)


def test_nobody_signs_by_the_new_one_before_all_have_it() -> None:
    lagging = replace(PBX, edition=1, lag="its documents are not written anew yet")
    step = decide(SPREADING, TWO, (PBX, lagging), NOW)
    assert step.action == "note"
    assert step.missing == ("acme/salto: its documents are not written anew yet",)
    noted = authority.note(SPREADING, step.missing, NOW)
    assert (noted.missing, noted.missing_count, noted.whole_since) == (step.missing, 1, "")
    # the same is not written twice
    assert decide(noted, TWO, (PBX, lagging), later(9)).action == "rest"


def test_what_all_have_is_relied_on_after_a_while() -> None:
    step = decide(SPREADING, TWO, (PBX,), NOW)
    assert (step.action, step.missing) == ("note", ())
    whole = authority.note(SPREADING, (), NOW)
    assert decide(whole, TWO, (PBX,), later(TIMING.settle_s - 1)).action == "rest"
    assert decide(whole, TWO, (PBX,), later(TIMING.settle_s)).action == "sign"


def test_one_that_lags_again_begins_the_while_anew() -> None:
    whole = authority.note(SPREADING, (), NOW)
    step = decide(whole, TWO, (replace(PBX, edition=0),), later(TIMING.settle_s + 1))
    assert step.action == "note"
    assert authority.note(whole, step.missing, NOW).whole_since == ""


def test_a_box_that_is_away_is_waited_for_an_hour_and_no_longer() -> None:
    away = Member("acme/rivera", "box", 1, 1, is_away=True)
    here = replace(away, is_away=False)
    late = later(TIMING.away_s + 1)
    assert decide(SPREADING, TWO, (away,), later(TIMING.away_s - 1)).missing == ("box of acme/rivera",)
    step = decide(SPREADING, TWO, (away,), late)
    assert (step.missing, step.left_behind) == ((), ("box of acme/rivera",))
    # it has a tunnel, whatever it says
    assert decide(SPREADING, TWO, (here,), later(1e7)).missing == ("box of acme/rivera",)


def test_the_old_one_stays_until_its_last_certificate_has_ended() -> None:
    away = Member("acme/rivera", "box", 3, 1, is_away=True)
    end_s = CERTIFICATE_HOURS * 3600
    assert decide(RENEWING, TWO, (away,), later(end_s)).missing == ("box of acme/rivera",)
    assert decide(RENEWING, TWO, (away,), later(end_s + TIMING.settle_s)).missing == ()


def test_in_haste_nobody_is_waited_for_who_is_away_and_others_ten_minutes() -> None:
    away, here = Member("acme/rivera", "box", 1, 1, is_away=True), Member("acme/salto", "box", 1, 1)
    for standing in (SPREADING, authority.sign(SPREADING, TWO_AT_ONCE, NOW)):
        step = decide(standing, TWO_AT_ONCE, (away, here), later(TIMING.hasty_s - 1))
        assert (step.missing, step.left_behind) == (("box of acme/salto",), ("box of acme/rivera",))
        step = decide(standing, TWO_AT_ONCE, (away, here), later(TIMING.hasty_s))
        assert (step.missing, len(step.left_behind)) == ((), 2)


def test_haste_in_the_middle_of_it_gives_everybody_their_ten_minutes() -> None:
    here, middle = Member("acme/salto", "box", 3, 1), later(TIMING.spread_s / 2)
    assert decide(RENEWING, TWO_AT_ONCE, (here,), middle).action == "hasten"
    hurried = authority.hasten(RENEWING, middle)
    assert (hurried.since, hurried.edition) == (RENEWING.since, RENEWING.edition + 1)
    step = decide(hurried, TWO_AT_ONCE, (here,), middle)
    assert (step.action, step.missing) == ("note", ("box of acme/salto",))
    assert authority.is_turn(hurried, "acme/salto", middle)


def test_the_rest_is_done_without_a_look_at_anybody() -> None:
    forgetting = authority.retire(RENEWING, NOW)
    assert not needs_members(forgetting) and not needs_members(Standing())
    assert decide(forgetting, TWO, (), NOW).action == "destroy"
    settled = authority.settle(forgetting, NOW)
    assert (settled.generation, settled.phase, settled.edition) == (2, "settled", forgetting.edition)
    assert decide(settled, TWO, (), NOW).action == "rest"
    # what was wished meanwhile comes after it
    assert decide(RENEWING, Wished(3), (), NOW).action == "note"
    assert decide(settled, Wished(3), (), NOW).action == "begin"


def test_documents_are_written_anew_when_the_authorities_change_and_at_each_ones_turn() -> None:
    key = "acme/salto"
    assert why_due(None, 1, 1, key, NOW) == ""
    assert why_due(SPREADING, 1, 1, key, NOW) and not why_due(SPREADING, 2, 1, key, NOW)
    turn = find_turn(RENEWING.since, RENEWING.renew_by, key)
    assert not why_due(RENEWING, 3, 1, key, turn - timedelta(seconds=1))
    assert why_due(RENEWING, 3, 1, key, turn)
    assert not why_due(RENEWING, 3, 2, key, turn)
    # who was left behind
    settled = authority.settle(authority.retire(RENEWING, NOW), NOW)
    assert why_due(settled, settled.edition, 1, key, NOW)
    assert not why_due(settled, settled.edition, 2, key, NOW)


def test_turns_are_spread_over_the_time() -> None:
    keys = [f"acme/{number}" for number in range(1000)]
    turns = [find_turn(RENEWING.since, RENEWING.renew_by, key) for key in keys]
    assert min(turns) >= NOW and max(turns) < later(TIMING.spread_s)
    hours = [0] * 24
    for turn in turns:
        hours[int((turn - NOW).total_seconds() // 3600)] += 1
    assert max(hours) < 1000 / 24 * 2
    assert find_next_turn(RENEWING, keys, NOW) == min(one for one in turns if one > NOW)
    assert find_next_turn(SPREADING, keys, NOW) is None


def test_the_entry_is_read_back_and_names_no_more_than_some() -> None:
    noted = authority.note(RENEWING, [f"acme/{number}" for number in range(99)], NOW)
    assert (len(noted.missing), noted.missing_count) == (MOST_NAMED, 99)
    assert read_standing("key", noted.to_bytes()) == noted
    with pytest.raises(GitopsError, match="not as this version of RITI writes it"):
        read_standing("key", b'{"phase": "half"}')


@dataclass
class World:
    """Members that take what they are told in any order, or late; a cut is two that do not trust each other."""

    standing: Standing = field(default_factory=Standing)
    now: datetime = NOW
    trusts: list[set[int]] = field(default_factory=lambda: [{1}, {1}, {1}])
    editions: list[int] = field(default_factory=lambda: [1, 1, 1])
    signed: list[int] = field(default_factory=lambda: [1, 1, 1])
    old: int = 1

    def list_trusted(self) -> set[int]:
        match self.standing.phase:
            case "spreading":
                return {self.standing.generation, self.standing.next}
            case "renewing":
                return {self.old, self.standing.generation}
        return {self.standing.generation}

    def take(self, place: int, is_certificate: bool) -> None:
        if is_certificate:
            self.signed[place] = self.standing.generation
        else:
            self.trusts[place], self.editions[place] = self.list_trusted(), self.standing.edition

    def cycle(self, wished: Wished) -> None:
        members = [
            Member(f"acme/{place}", "box", self.editions[place], self.signed[place]) for place in range(3)
        ]
        step = decide(self.standing, wished, members, self.now)
        match step.action:
            case "note":
                self.standing = authority.note(self.standing, step.missing, self.now)
            case "begin":
                self.old = self.standing.generation
                self.standing = authority.begin(self.standing, wished, self.now)
            case "sign":
                self.standing = authority.sign(self.standing, wished, self.now)
            case "retire":
                self.standing = authority.retire(self.standing, self.now)
            case "destroy":
                self.standing = authority.settle(self.standing, self.now)

    def is_whole(self) -> bool:
        return all(one in trusted for one in self.signed for trusted in self.trusts)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("cycle"), st.integers(1, 4)),
        st.tuples(st.just("time"), st.sampled_from([1, 61, 4000])),
        st.tuples(st.just("bundle"), st.integers(0, 2)),
        st.tuples(st.just("certificate"), st.integers(0, 2)),
    ),
    max_size=80,
)


@given(EVENTS)
def test_no_order_of_events_has_two_members_that_do_not_trust_each_other(
    events: list[tuple[str, int]],
) -> None:
    """Within the time that certificates are good: all that have a tunnel take what they are told, at any time."""
    world, wished = World(), 1
    for kind, said in events:
        match kind:
            case "cycle":
                wished = max(wished, said)
                world.cycle(Wished(wished))
            case "time":
                world.now += timedelta(seconds=said)
            case "bundle":
                world.take(said, is_certificate=False)
            case "certificate":
                world.take(said, is_certificate=True)
        assert world.is_whole(), (world, kind, said)


def test_it_comes_to_its_end_when_all_take_what_they_are_told() -> None:
    world = World()
    for _ in range(20):
        world.cycle(TWO)
        for place in range(3):
            world.take(place, is_certificate=False)
            world.take(place, is_certificate=True)
        world.now += timedelta(seconds=61)
    assert (world.standing.phase, world.standing.generation) == ("settled", 2)
    assert world.trusts == [{2}] * 3 and world.signed == [2] * 3
