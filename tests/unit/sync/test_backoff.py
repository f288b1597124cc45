"""One bad unit waits longer and longer, and delays no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.reconcile.backoff import Backoff, spread
from ritilib.sync.backoff import find_next, is_due, keep_wished, note_failure, note_success

EXACT = Backoff(first_s=4, longest_s=60, share=0.5)
MONTEVIDEO, SALTO = "acme/montevideo", "acme/salto"


def never() -> float:
    return 0.0


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    assert [EXACT.delay(failures, never) for failures in range(1, 7)] == [4, 8, 16, 32, 60, 60]
    assert EXACT.delay(100_000, never) == 60


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_chance_only_shortens_and_never_to_nothing(failures: int, chance: float) -> None:
    whole = EXACT.delay(failures, never)
    assert whole / 2 <= EXACT.delay(failures, lambda: chance) <= whole


def test_a_failing_unit_waits_and_the_others_do_not() -> None:
    held = note_failure({}, SALTO, "w1", 100.0, EXACT, never)
    assert not is_due(held, SALTO, "w1", 103.9) and is_due(held, SALTO, "w1", 104.0)
    assert is_due(held, MONTEVIDEO, "w1", 100.0)
    held = note_failure(held, SALTO, "w1", 104.0, EXACT, never)
    assert held[SALTO].failures == 2 and held[SALTO].retry_at_s == 112.0


def test_a_new_wish_is_tried_at_once_and_counts_anew() -> None:
    held = {}
    for _ in range(5):
        held = note_failure(held, SALTO, "w1", 100.0, EXACT, never)
    assert is_due(held, SALTO, "w2", 100.0)
    held = note_failure(held, SALTO, "w2", 100.0, EXACT, never)
    assert (held[SALTO].failures, held[SALTO].retry_at_s) == (1, 104.0)


def test_what_is_fine_or_not_wished_any_more_is_forgotten() -> None:
    held = note_failure(note_failure({}, SALTO, "w1", 0, EXACT, never), MONTEVIDEO, "w1", 0, EXACT, never)
    assert note_success(held, SALTO).keys() == {MONTEVIDEO}
    assert keep_wished(held, {SALTO: "w1", MONTEVIDEO: "w2"}).keys() == {SALTO}
    assert keep_wished(held, {}) == {} and note_success({}, SALTO) == {}


def test_the_next_one_due_is_the_earliest() -> None:
    held = note_failure({}, SALTO, "w1", 100.0, EXACT, never)
    held = note_failure(held, MONTEVIDEO, "w1", 98.0, EXACT, never)
    assert find_next(held, 100.0) == 2.0 and find_next(held, 500.0) == 0.0 and find_next({}, 0.0) is None


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 27.0), (0.5, 30.0), (1.0, 33.0)])
def test_an_interval_is_spread_both_ways(chance: float, expected: float) -> None:
    assert spread(30.0, lambda: chance) == pytest.approx(expected)
