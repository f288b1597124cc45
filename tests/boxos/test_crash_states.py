"""What a cut may leave of writes: never less than what was flushed, any part of the rest, and the same for a seed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from boxos.crash_check import BRICK
from boxos.crash_states import Piece, draw_states, keep_all
from boxos.layout import BOOT_B, DATA, LABELS, ROOT_B, SELECTOR
from boxos.write_log import FUA
from tests.boxos.crashing import CARD, SPANS, Bench, Request, check_all, commit


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write_data(count: int) -> list[Request | None]:
    return [Request(SPANS[DATA][0] + number * 4096, os.urandom(4096)) for number in range(count)]


def test_the_same_seed_draws_the_same_and_no_state_twice(bench: Bench) -> None:
    story = bench.tell([*bench.write_slot(), None, commit(BOOT_B), None])
    states = draw_states([story], 300, 7)
    assert states == draw_states([story], 300, 7) != draw_states([story], 300, 8)
    assert len({(one.flushed, one.pieces) for one in states}) == len(states)
    assert [one.number for one in states] == list(range(len(states)))


def test_what_was_flushed_stays_and_what_came_behind_the_cut_is_not_there(bench: Bench) -> None:
    story = bench.tell([*write_data(6), None, *write_data(9), None, *write_data(3), None])
    for state in draw_states([story], 400, 1):
        assert state.flushed == 0 or story.entries[state.flushed - 1].is_flush
        numbers = range(state.flushed, state.cut)
        assert all(
            piece.entry in numbers and not story.entries[piece.entry].is_flush for piece in state.pieces
        )
        # no flush was done before the cut but those that count
        assert not any(story.entries[number].is_flush for number in range(state.flushed, state.cut - 1))


def test_writes_are_lost_kept_reordered_and_torn_at_sectors(bench: Bench) -> None:
    story = bench.tell([*write_data(8), None])
    states = draw_states([story], 300, 3)
    kept = [{piece.entry for piece in state.pieces} for state in states]
    assert set() in kept and set(range(8)) in kept
    assert any(7 in one and 0 not in one for one in kept), "a later write without an earlier one"
    torn = [piece for state in states for piece in state.pieces if piece.size != 4096]
    assert torn and all(piece.size % 512 == 0 == piece.offset % 512 for piece in torn)
    assert any(piece.offset == 0 for piece in torn) and any(piece.offset > 0 for piece in torn)


def test_each_partition_has_its_share_however_little_was_written_to_it(bench: Bench) -> None:
    story = bench.tell([*bench.write_slot(), None, *write_data(3), None, *write_data(2), None])
    counted = Counter(state.region for state in draw_states([story], 90, 1))
    assert counted == {LABELS[number]: 30 for number in (BOOT_B, ROOT_B, DATA)}


def test_a_region_without_another_state_leaves_the_rest_to_the_others(bench: Bench) -> None:
    story = bench.tell([commit(BOOT_B), None, *write_data(8), None])
    counted = Counter(state.region for state in draw_states([story], 100, 1))
    assert counted[LABELS[SELECTOR]] == 2 and counted.total() == 100


def test_a_write_that_asked_to_be_on_the_card_is_there_whole(bench: Bench) -> None:
    durable = Request(SPANS[DATA][0], os.urandom(4096), FUA)
    story = bench.tell([durable, *write_data(5), None])
    states = draw_states([story], 100, 1)
    assert all(Piece(0, 0, 4096) in state.pieces for state in states)


def test_the_tables_at_both_ends_are_regions_of_their_own(bench: Bench) -> None:
    story = bench.tell([None])
    assert story.find_region(512) == story.find_region(CARD - 512) == "table"
    assert story.find_region(SPANS[ROOT_B][0]) == LABELS[ROOT_B]


def test_a_card_is_as_before_behind_each_state(bench: Bench) -> None:
    requests = [*bench.write_slot(), commit(BOOT_B), None, *write_data(4), None]
    story = bench.tell(requests)
    before = bench.card.read_bytes()
    with bench.open(story) as card:
        assert card.count_broken(BOOT_B) and card.count_broken(ROOT_B)
        for state in draw_states([story], 60, 5):
            if state.flushed == 0:
                with card.hold(state.pieces):
                    pass
                assert bench.card.read_bytes() == before
        with card.hold(keep_all(story, 0, story.find_next_flush(0))):
            assert (card.count_broken(BOOT_B), card.count_broken(ROOT_B)) == (0, 0)
        assert card.count_broken(ROOT_B) == 8
        card.go_on(len(story.entries))
    after = bytearray(before)
    for one in filter(None, requests):
        after[one.start : one.start + len(one.data)] = one.data
    assert bench.card.read_bytes() == after


def test_a_slot_that_is_flushed_before_it_is_taken_is_whole_in_every_state(bench: Bench) -> None:
    story = bench.tell([*bench.write_slot(), None, commit(BOOT_B), None])
    states, wrongs = check_all(bench, story, 300, 1)
    assert len(states) > 200 and wrongs == []


def test_a_slot_that_is_taken_before_it_is_flushed_is_found(bench: Bench) -> None:
    story = bench.tell([*bench.write_slot(), commit(BOOT_B), None])
    _, wrongs = check_all(bench, story, 300, 1)
    assert {one.kind for one in wrongs} == {BRICK}
    assert any("riti-root-b" in one.text for one in wrongs) and any(
        "riti-boot-b" in one.text for one in wrongs
    )


def test_a_slot_whose_root_alone_was_not_flushed_is_found(bench: Bench) -> None:
    slot = bench.write_slot()
    story = bench.tell([*slot[:4], None, *slot[4:], commit(BOOT_B), None])
    _, wrongs = check_all(bench, story, 300, 1)
    assert wrongs and all("riti-root-b" in one.text and "riti-boot-b" not in one.text for one in wrongs)


def test_a_slot_that_is_written_over_while_it_is_taken_is_found(bench: Bench) -> None:
    wrong = Request(SPANS[ROOT_B - 1][0], os.urandom(4096))
    _, wrongs = check_all(bench, bench.tell([wrong, None, wrong, None]), 20, 1)
    assert {one.kind for one in wrongs} == {BRICK}
