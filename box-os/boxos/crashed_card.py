"""A card that is brought into one state after the other: forward for good, and into a state and back.

Which blocks of the slots differ from the image's is kept meanwhile, so that a slot is known to be whole without reading
all of it each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType

from boxos.crash_states import Piece, Story
from boxos.verity import BLOCK
from boxos.write_log import Entry

_CHUNK = 1024 * 1024


class Slot:
    """One partition and the image that it must hold; broken: its blocks that are others."""

    def __init__(self, start: int, image: Path) -> None:
        self._start = start
        with image.open("rb") as stream:
            self._image = mmap(stream.fileno(), 0, access=ACCESS_READ)
        self.broken: set[int] = set()

    def look(self, card: int, start: int, size: int) -> None:
        """Compare what lies at these bytes of the card anew."""
        first = max(start, self._start) - self._start
        end = min(start + size, self._start + len(self._image)) - self._start
        begin = first // BLOCK * BLOCK
        for at in range(begin, end, _CHUNK):
            length = min(_CHUNK, -(-(end - at) // BLOCK) * BLOCK, len(self._image) - at)
            held, wanted = os.pread(card, length, self._start + at), self._image[at : at + length]
            numbers = range(at // BLOCK, (at + length - 1) // BLOCK + 1)
            if held == wanted:
                self.broken.difference_update(numbers)
                continue
            for number in numbers:
                within = slice(number * BLOCK - at, (number + 1) * BLOCK - at)
                (self.broken.discard if held[within] == wanted[within] else self.broken.add)(number)

    def look_at_all(self, card: int) -> None:
        self.look(card, self._start, len(self._image))

    def close(self) -> None:
        self._image.close()


class CrashedCard:
    """card is changed, and is what story begins with; images: partition → what it must hold to be whole."""

    def __init__(self, card: Path, log: Path, story: Story, images: Mapping[int, Path]) -> None:
        self.card, self.flushed = card, 0
        self._entries: Sequence[Entry] = story.entries
        self._card, self._log = os.open(card, os.O_RDWR), os.open(log, os.O_RDONLY)
        self._slots = {number: Slot(story.spans[number][0], image) for number, image in images.items()}
        for slot in self._slots.values():
            slot.look_at_all(self._card)

    def __enter__(self) -> CrashedCard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._card)
        os.close(self._log)
        for slot in self._slots.values():
            slot.close()

    def count_broken(self, number: int) -> int:
        """How many blocks of a partition are not the image's."""
        return len(self._slots[number].broken)

    def go_on(self, flushed: int) -> None:
        """All before this entry is on the card, for good."""
        assert flushed >= self.flushed
        for number in range(self.flushed, flushed):
            self._put(Piece(number, 0, self._entries[number].size))
        self.flushed = flushed

    @contextmanager
    def hold(self, pieces: Sequence[Piece]) -> Iterator[None]:
        """These are on the card too, until the end of `with`."""
        before: list[tuple[int, bytes]] = []
        try:
            for piece in pieces:
                start = self._entries[piece.entry].start + piece.offset
                before.append((start, os.pread(self._card, piece.size, start)))
                self._put(piece)
            yield
        finally:
            for start, data in reversed(before):
                self._write(start, data)

    def _put(self, piece: Piece) -> None:
        entry = self._entries[piece.entry]
        for offset in range(piece.offset, piece.offset + piece.size, _CHUNK):
            size = min(_CHUNK, piece.offset + piece.size - offset)
            self._write(entry.start + offset, entry.read(self._log, offset, size))

    def _write(self, start: int, data: bytes) -> None:
        os.pwrite(self._card, data, start)
        for slot in self._slots.values():
            slot.look(self._card, start, len(data))
