"""A JSON array that comes in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.clients.streaming import split_array

# what could be taken for the end of an object
AWKWARD = st.sampled_from(["},{", '},{"Key":', "}", "]", "[", '"', "\\", ":", '},{"Key":"', "ñ", ""])
TEXTS = st.lists(AWKWARD, max_size=4).map("".join)
ENTRIES = st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS)), max_size=5)


def cut(text: bytes, places: list[int]) -> Iterator[bytes]:
    ends = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return (text[start:end] for start, end in pairwise(ends))


@given(ENTRIES, st.lists(st.integers(min_value=0), max_size=6), st.booleans())
def test_every_object_comes_out_wherever_it_is_cut(
    entries: list[tuple[str, str | None]], places: list[int], plain: bool
) -> None:
    said = [{"Key": key, "Value": value} for key, value in entries]
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=plain).encode() + b"\n"
    assert [json.loads(one) for one in split_array(cut(text, places))] == said


def test_null_is_an_empty_array() -> None:
    assert list(split_array([b"null\n"])) == []
    assert list(split_array([])) == []


def test_an_array_that_is_spaced_otherwise_comes_as_one_piece() -> None:
    text = b'[{"Key": "a"}, {"Key": "b"}]'
    assert list(split_array([text])) == [text[1:-1]]


@pytest.mark.parametrize(
    "text", [b'[{"ID":"a"},{"ID":"b"}', b'[{"ID":"a"}', b'[{"ID":"a"},{"ID":"b"},', b'{"ID":"a"}']
)
def test_an_array_without_its_end_is_none(text: bytes) -> None:
    """Its objects are whole, but those behind them would look as if they were deleted."""
    with pytest.raises(ValueError, match="no end"):
        list(split_array([text]))
