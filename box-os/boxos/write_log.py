"""What QEMU's blklogwrites noted of a disk's writes, in the form of Linux' dm-log-writes (drivers/md/dm-log-writes.c).

A sector describes the log; then come, for each request, a sector that describes it, and its data.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import RitiError

MAGIC, VERSION = 0x6A736677736872, 1
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SUPER = struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")


@dataclass(frozen=True)
class Entry:
    """One request: size bytes from start of the disk, whose data lie from at of the log. flags: as the log has them."""

    start: int
    size: int
    flags: int
    at: int

    @property
    def is_flush(self) -> bool:
        return bool(self.flags & FLUSH)

    @property
    def is_fua(self) -> bool:
        """Whether it is on the card for ever once it is done, whatever is flushed."""
        return bool(self.flags & FUA)

    def read(self, log: int, offset: int, size: int) -> bytes:
        """size bytes of its data from offset. What was discarded may read as anything, here as zeros."""
        if self.flags & DISCARD:
            return bytes(size)
        # zeros at the end of a log take no room in its file
        return os.pread(log, size, self.at + offset).ljust(size, b"\0")


def read_log(file: Path) -> tuple[tuple[Entry, ...], int]:
    """The requests in the order in which they were done, and a sector's bytes.

    The log counts them at each flush: what came behind the last one is not given. RitiError where it is no such log, or
    one without a flush.
    """
    with file.open("rb") as stream:
        head = stream.read(SUPER.size)
        if len(head) < SUPER.size or not any(head):
            raise RitiError.because(f"{file.name} has no flush", "let the guest run for longer")
        magic, version, count, sector = SUPER.unpack(head)
        if magic != MAGIC or version != VERSION:
            raise RitiError.because(f"{file.name} is no log of writes", "make another recording")
        entries = []
        at = sector
        for number in range(count):
            stream.seek(at)
            described = stream.read(ENTRY.size)
            if len(described) < ENTRY.size:
                raise RitiError.because(
                    f"{file.name} ends before entry {number} of {count}", "make another recording"
                )
            start, sectors, flags, more = ENTRY.unpack(described)
            if flags & ~(FLUSH | FUA | DISCARD | MARK):
                raise RitiError.because(
                    f"{file.name}: entry {number} has flags {flags:#x}", "make another recording"
                )
            at += sector
            entries.append(Entry(start * sector, sectors * sector, flags, at))
            if not flags & DISCARD:
                at += sectors * sector
            if flags & MARK:
                # a mark's text, which QEMU never writes
                at += -(-more // sector) * sector
    return tuple(entries), sector
