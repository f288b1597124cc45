"""Waves: canaries, a share, the rest; every box once, the same for the same change, others first at the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.fleet.fleet_file import Rollout
from ritilib.reconcile.waves import make_waves

BOXES = [f"{company}/box-{number}" for company in ("acme", "zorro") for number in range(50)]


@pytest.mark.parametrize(
    ("marked", "rollout", "sizes"),
    [
        (0, Rollout(), [1, 20, 79]),  # a fifth of 99, rounded up
        (0, Rollout(canaries=5), [5, 19, 76]),
        (3, Rollout(), [3, 20, 77]),  # all that are marked
        (3, Rollout(canaries=5), [5, 19, 76]),
        (0, Rollout(share_percent=100), [1, 99]),
        (0, Rollout(canaries=100), [100]),
    ],
)
def test_how_many_are_in_each(marked: int, rollout: Rollout, sizes: list[int]) -> None:
    waves = make_waves(BOXES, set(BOXES[:marked]), rollout, "c1")
    assert [len(wave) for wave in waves] == sizes
    assert set(BOXES[:marked]) <= set(waves[0])


def test_no_box_is_no_wave() -> None:
    assert make_waves([], {"acme/salto"}, Rollout(), "c1") == ()


def test_a_canary_that_does_not_change_leaves_its_place_to_another() -> None:
    assert [len(wave) for wave in make_waves(["acme/a", "acme/b"], {"acme/c"}, Rollout(), "c1")] == [1, 1]


def test_not_always_the_same_company_is_first() -> None:
    first = {make_waves(BOXES, set(), Rollout(), f"c{number}")[0][0].split("/")[0] for number in range(20)}
    assert first == {"acme", "zorro"}


@given(
    boxes=st.lists(st.sampled_from(BOXES)),
    canaries=st.sets(st.sampled_from(BOXES), max_size=5),
    count=st.integers(1, 8),
    share=st.integers(1, 100),
    change=st.text(max_size=5),
)
def test_every_box_is_in_one_wave_whatever_the_order(
    boxes: list[str], canaries: set[str], count: int, share: int, change: str
) -> None:
    rollout = Rollout(canaries=count, share_percent=share)
    waves = make_waves(boxes, canaries, rollout, change)
    assert sorted(box for wave in waves for box in wave) == sorted(set(boxes))
    assert all(waves)
    assert make_waves(reversed(boxes), canaries, rollout, change) == waves
    late = {box for wave in waves[1:] for box in wave}
    assert not late & canaries
