"""What may be on a card after a cut, where it had said that writes are done and had not made them last.

A state: all that was written up to a flush, and of what was written from there to the cut any part, in any order, each
write torn at its sectors. Pure: values in, values out; the same seed gives the same states.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boxos.layout import BOOT_A, BOOT_B, DATA, LABELS, ROOT_A, ROOT_B, SECTOR, SELECTOR
from boxos.write_log import Entry

TABLE = "table"
_SECOND_TABLE = 40 * SECTOR  # 33 of them, written by pages of eight
_TRIES = 40


@dataclass(frozen=True)
class Piece:
    """size bytes from offset of what entry wrote are on the card."""

    entry: int
    offset: int
    size: int


@dataclass(frozen=True)
class State:
    """Cut before entry `cut`: the entries before `flushed` are on the card, and pieces of those between.

    number and region: as which one it was drawn, and where the write is that it was drawn for.
    """

    number: int
    episode: str
    region: str
    flushed: int
    cut: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Story:
    """What one start wrote. spans: partition → where it begins and its size, as the card's table said before it."""

    episode: str
    entries: tuple[Entry, ...]
    spans: Mapping[int, tuple[int, int]]
    card_size: int

    def find_region(self, start: int) -> str:
        """The label of the partition in which a write begins, or "table"."""
        if start >= self.card_size - _SECOND_TABLE:
            return TABLE
        for number in (SELECTOR, BOOT_A, BOOT_B, ROOT_A, ROOT_B):
            if self.spans[number][0] <= start < sum(self.spans[number]):
                return LABELS[number]
        # the first start lets it grow to the card's end
        return LABELS[DATA] if start >= self.spans[DATA][0] else TABLE

    def has_reached(self, cut: int, log_bytes: int) -> bool:
        """Whether the log had at least so many bytes at the cut. What came behind its last flush is not known of."""
        entries = sum(entry.at < log_bytes for entry in self.entries)
        return entries < len(self.entries) and cut >= entries

    def find_flush(self, cut: int) -> int:
        """The entries before this were made last by a flush that was done before the cut."""
        return next((number + 1 for number in range(cut - 1, -1, -1) if self.entries[number].is_flush), 0)

    def find_next_flush(self, flushed: int) -> int:
        """One behind the last entry that no flush before it, and the next one, makes last."""
        numbers = range(flushed, len(self.entries))
        return next((number for number in numbers if self.entries[number].is_flush), len(self.entries))


def draw_states(stories: Sequence[Story], count: int, seed: int) -> list[State]:
    """So many different states; fewer where the stories have no more.

    In turn of each start and each partition written in it, so that the one sector that chooses a slot has as many as an
    installation's megabytes; within these each time between two flushes is as likely as another.
    """
    moments = random.Random(seed)
    strata = [(story, region, found) for story in stories for region, found in _find_strata(story).items()]
    states: list[State] = []
    seen = set()
    while strata and len(states) < count:
        left = []
        for story, region, intervals in strata:
            for _ in range(_TRIES):
                state = _draw(story, region, moments.choice(intervals), len(states), moments)
                key = (state.episode, state.flushed, state.pieces)
                if key not in seen:
                    seen.add(key)
                    states.append(state)
                    left.append((story, region, intervals))
                    break
            if len(states) == count:
                break
        strata = left
    return states


def keep_all(story: Story, flushed: int, cut: int) -> tuple[Piece, ...]:
    """The pieces of a card that lost nothing."""
    return tuple(
        Piece(number, 0, story.entries[number].size)
        for number in range(flushed, cut)
        if story.entries[number].size
    )


def _find_strata(story: Story) -> dict[str, list[list[int]]]:
    """Region → the writes to it between two flushes, for each two that have some between them."""
    found: dict[str, dict[int, list[int]]] = {}
    flushed = 0
    for number, entry in enumerate(story.entries):
        if entry.is_flush:
            flushed = number + 1
        elif entry.size:
            found.setdefault(story.find_region(entry.start), {}).setdefault(flushed, []).append(number)
    return {region: list(intervals.values()) for region, intervals in sorted(found.items())}


def _draw(story: Story, region: str, writes: list[int], number: int, moments: random.Random) -> State:
    aimed = moments.choice(writes)
    flushed = story.find_flush(aimed)
    # at once behind it, or as late as nothing more was flushed
    cut = moments.choice((aimed + 1, moments.randint(aimed + 1, story.find_next_flush(flushed))))
    lost = moments.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    torn = moments.choice((0.0, 0.0, 0.3, 1.0))
    pieces: list[Piece] = []
    for index in range(flushed, cut):
        entry = story.entries[index]
        if not entry.size:
            continue
        # the one that it is about comes through more often than not, and the others behind or before it do not
        if entry.is_fua or moments.random() >= (0.3 if index == aimed else lost):
            is_torn = not entry.is_fua and entry.size > SECTOR and moments.random() < torn
            pieces += _tear(index, entry.size, moments) if is_torn else [Piece(index, 0, entry.size)]
    return State(number, story.episode, region, flushed, cut, tuple(pieces))


def _tear(index: int, size: int, moments: random.Random) -> list[Piece]:
    """Some runs of its sectors, and the runs between them not."""
    sectors = size // SECTOR
    most = min(5, sectors - 1)
    cuts = sorted(moments.sample(range(1, sectors), moments.randint(1, most)))
    edges = [0, *cuts, sectors]
    first = moments.randint(0, 1)
    return [
        Piece(index, edges[run] * SECTOR, (edges[run + 1] - edges[run]) * SECTOR)
        for run in range(first, len(edges) - 1, 2)
    ]
