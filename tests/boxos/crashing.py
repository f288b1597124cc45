"""A small card, and logs of what a box might have written to it, as QEMU would have noted them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boxos.crash_check import Expected, Seen, Wrong, find_wrongs
from boxos.crash_states import Piece, State, Story, draw_states, keep_all
from boxos.crashed_card import CrashedCard
from boxos.layout import BOOT_A, BOOT_B, DATA, ROOT_A, ROOT_B, SELECTOR
from boxos.write_log import DISCARD, ENTRY, FLUSH, MAGIC, SUPER, VERSION, read_log
from onbox.selection import NoSelection, read_selection, write_selection

_SECTOR = 512
_STEP = 65_536
# each of 64 KiB, one behind the other; data to the end
SPANS = {number: (number * _STEP, _STEP) for number in (SELECTOR, BOOT_A, BOOT_B, ROOT_A, ROOT_B, DATA)}
CARD = 8 * _STEP
ROOT_HASH = "a" * 64


@dataclass(frozen=True)
class Request:
    start: int
    data: bytes
    flags: int = 0


def write_log(file: Path, requests: Sequence[Request | None]) -> Path:
    """None: a flush, at which the log's head counts what is before it, as QEMU's does."""
    counted = max((number + 1 for number, request in enumerate(requests) if request is None), default=0)
    with file.open("wb") as stream:
        stream.write(SUPER.pack(MAGIC, VERSION, counted, _SECTOR).ljust(_SECTOR, b"\0"))
        for request in requests:
            one = request or Request(0, b"", FLUSH)
            words = ENTRY.pack(one.start // _SECTOR, len(one.data) // _SECTOR, one.flags, 0)
            stream.write(words.ljust(_SECTOR, b"\0"))
            stream.write(b"" if one.flags & DISCARD else one.data)
    return file


@dataclass
class Bench:
    """A card whose slot A is whole and taken, and images that an installation writes to slot B."""

    folder: Path
    boot: bytes = field(default_factory=lambda: os.urandom(16_384))
    root: bytes = field(default_factory=lambda: os.urandom(32_768))

    @property
    def card(self) -> Path:
        return self.folder / "card"

    def tell(self, requests: Sequence[Request | None]) -> Story:
        """The story of these writes on a card of its own."""
        content = bytearray(CARD)
        for number, data in ((SELECTOR, write_selection(BOOT_A)), (BOOT_A, self.boot), (ROOT_A, self.root)):
            content[SPANS[number][0] : SPANS[number][0] + len(data)] = data
        self.card.write_bytes(content)
        (self.folder / "boot").write_bytes(self.boot)
        (self.folder / "root").write_bytes(self.root)
        entries, _ = read_log(write_log(self.folder / "log", requests))
        return Story("bench", entries, SPANS, CARD)

    def open(self, story: Story) -> CrashedCard:
        images: Mapping[int, Path] = {
            number: self.folder / name
            for number, name in ((BOOT_A, "boot"), (BOOT_B, "boot"), (ROOT_A, "root"), (ROOT_B, "root"))
        }
        return CrashedCard(self.card, self.folder / "log", story, images)

    def write_slot(self) -> list[Request | None]:
        """Slot B's boot partition and root, in pieces of 4 KiB, not flushed."""
        return [
            Request(SPANS[number][0] + at, data[at : at + 4096])
            for number, data in ((BOOT_B, self.boot), (ROOT_B, self.root))
            for at in range(0, len(data), 4096)
        ]


def commit(partition: int) -> Request:
    return Request(SPANS[SELECTOR][0], write_selection(partition))


def look(card: CrashedCard) -> Seen:
    """As crash_check.Eye, where the selector is its one sector, and nothing is on the data partition."""
    with card.card.open("rb") as stream:
        stream.seek(SPANS[SELECTOR][0])
        sector = stream.read(_SECTOR)
    try:
        chosen = read_selection(sector, is_try=False)
    except NoSelection:
        chosen = 0
    broken = {number: card.count_broken(number) for number in (BOOT_A, BOOT_B, ROOT_A, ROOT_B)}
    return Seen(chosen, "" if chosen else "no selection", sector, ROOT_HASH, broken, {}, ())


def check_all(bench: Bench, story: Story, count: int, seed: int) -> tuple[list[State], list[Wrong]]:
    """So many states of it, and all that is wrong with them."""
    states = draw_states([story], count, seed)
    wrongs: list[Wrong] = []
    with bench.open(story) as card:
        for state in sorted(states, key=lambda one: one.flushed):
            card.go_on(state.flushed)
            before = look(card)
            after = _see(card, keep_all(story, state.flushed, story.find_next_flush(state.flushed)))
            seen = _see(card, state.pieces)
            wrongs += find_wrongs(seen, before, after, (), Expected({}, ROOT_HASH))
    return states, wrongs


def _see(card: CrashedCard, pieces: Sequence[Piece]) -> Seen:
    with card.hold(pieces):
        return look(card)
