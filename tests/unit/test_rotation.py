"""The steps of a rotation: whatever a company's ends hold, no step cuts a link, and the end is always reached."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.reconcile.rotation import FIRST, End, Generations, decide_steps, settle, take_step

OLD, BOTH, CALLS_BY_NEW, NEW = FIRST, Generations((1, 2), 1), Generations((1, 2), 2), settle(2)
STEPS = (OLD, BOTH, CALLS_BY_NEW, NEW)


def list_ends(*held: Generations | None) -> list[End]:
    return [End(f"acme/{name}", one) for name, one in zip("abcdef", held, strict=False)]


def test_a_rotation_takes_three_steps_and_three_back() -> None:
    there, back = [OLD], [NEW]
    for _ in range(3):
        there.append(take_step(there[-1], 2))
        back.append(take_step(back[-1], 1))
    assert there == list(STEPS)
    assert back == [NEW, CALLS_BY_NEW, BOTH, OLD]
    assert (take_step(NEW, 2), take_step(OLD, 1)) == (NEW, OLD)


def test_only_neighbouring_steps_understand_each_other() -> None:
    fits = [[one.fits(other) for other in STEPS] for one in STEPS]
    assert fits == [[abs(one - other) <= 1 for other in range(4)] for one in range(4)]


def test_the_secret_to_call_by_is_the_last() -> None:
    assert (BOTH.in_order, CALLS_BY_NEW.in_order, NEW.in_order) == ((2, 1), (1, 2), (2,))


def test_nobody_goes_on_while_one_is_behind() -> None:
    steps, why = decide_steps(list_ends(BOTH, OLD), 2)
    assert (steps, why) == ({"acme/b": BOTH}, "")
    steps, why = decide_steps(
        [End("acme/a", BOTH), End("acme/b", BOTH, "its box does not acknowledge them")], 2
    )
    assert steps == {}
    assert (
        why == "not all of its company hold what they were given (acme/b: its box does not acknowledge them)"
    )


@pytest.mark.parametrize(
    ("held", "first"),
    [
        ((), NEW),
        ((OLD,), OLD),
        ((NEW, NEW), NEW),
        ((OLD, BOTH), BOTH),
        ((BOTH, CALLS_BY_NEW), CALLS_BY_NEW),
        ((CALLS_BY_NEW, NEW), CALLS_BY_NEW),
    ],
)
def test_a_new_office_understands_all_that_are_there(
    held: tuple[Generations, ...], first: Generations
) -> None:
    steps, _ = decide_steps(list_ends(*held, None), 2)
    assert steps[f"acme/{'abcdef'[len(held)]}"] == first
    assert all(first.fits(one) for one in held)


def test_a_rotation_under_way_is_ended_before_another_begins() -> None:
    ends = list_ends(BOTH, OLD)
    seen = set()
    while any(end.held != settle(3) for end in ends):
        ends = take_all(ends, 3)
        seen |= {end.held for end in ends}
    assert NEW in seen


def test_ends_that_no_longer_understand_each_other_come_together_again() -> None:
    """An office that came back after its company had gone on."""
    ends = list_ends(OLD, NEW, NEW)
    for _ in range(3):
        ends = take_all(ends, 2)
    assert {end.held for end in ends} == {NEW}


def take_all(ends: list[End], wished: int) -> list[End]:
    steps, why = decide_steps(ends, wished)
    assert steps, why
    return [replace(end, held=steps.get(end.key, end.held)) for end in ends]


@given(st.data(), st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4))
def test_no_step_cuts_a_link_and_the_last_wish_is_reached(data: st.DataObject, wishes: list[int]) -> None:
    """Each cycle writes only some of what was decided, and what was written is in force before the next one."""
    ends = list_ends(OLD, OLD, OLD)
    for wished in wishes:
        for _ in range(data.draw(st.integers(0, 5))):
            steps, _ = decide_steps(ends, wished)
            done = data.draw(st.sets(st.sampled_from(sorted(steps)))) if steps else set()
            ends = [replace(end, held=steps[end.key]) if end.key in done else end for end in ends]
            assert all(
                one.held and other.held and one.held.fits(other.held) for one in ends for other in ends
            )
    for _ in range(9):
        steps, _ = decide_steps(ends, wishes[-1])
        ends = [replace(end, held=steps.get(end.key, end.held)) for end in ends]
        assert all(one.held and other.held and one.held.fits(other.held) for one in ends for other in ends)
    assert {end.held for end in ends} == {settle(wishes[-1])}
