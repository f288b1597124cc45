"""The selector's FAT16 file system, looked at as bytes: where a file of its root folder lies.

It is never mounted: mounting for writing changes its first sector, and a file that is written anew its tables. What a
box changes there is one whole sector, in place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SECTOR = 512
_ENTRY = 32
_LONG_NAME, _LABEL = 0x0F, 0x08
# FAT's form of names: eight letters and three, blanks behind each
SELECTION = "AUTOBOOTTXT"
ASKED = ("RESCUE     ", "RESCUE  TXT")  # what a person puts there, as the computer at hand names a file
LEFT = "RESCUED"


class Unreadable(Exception):
    """The partition is not as the image made it."""


@dataclass(frozen=True)
class Entry:
    """A file of the root folder; position is where its entry lies, offset where its first sector does, in bytes."""

    name: str
    position: int
    offset: int
    size: int


def list_files(image: bytes) -> list[Entry]:
    """What lies in the root folder; image is the partition from its beginning, as far as its root folder at least."""
    return list(_walk(image))


def find_selection(image: bytes) -> Entry:
    """autoboot.txt's; Unreadable where it is absent, or is not one whole sector."""
    for entry in _walk(image):
        if entry.name == SELECTION:
            if entry.size != SECTOR:
                raise Unreadable(f"autoboot.txt has {entry.size} bytes, not one sector")
            return entry
    raise Unreadable("there is no autoboot.txt")


def find_asked(image: bytes) -> Entry | None:
    """The file by which a person asks for the rescue way."""
    return next((entry for entry in _walk(image) if entry.name in ASKED), None)


def count_marks(image: bytes) -> int:
    """How often the rescue way was gone."""
    return sum(entry.name.startswith(LEFT) for entry in _walk(image))


def mark_entry(image: bytes, asked: Entry) -> tuple[int, bytes]:
    """The sector with which asked becomes the mark that it was followed, and where it goes: a rename in place."""
    number = count_marks(image) + 1
    start = asked.position // SECTOR * SECTOR
    sector = bytearray(image[start : start + SECTOR])
    within = asked.position - start
    sector[within : within + 11] = f"{LEFT}{min(number, 9)}{number:03d}".encode()
    return start, bytes(sector)


def _walk(image: bytes) -> Iterator[Entry]:
    if len(image) < SECTOR or image[510:512] != b"\x55\xaa":
        raise Unreadable("it is no FAT file system")
    size, per_cluster, reserved, tables, entries, _, _, per_table = struct.unpack_from("<HBHBHHBH", image, 11)
    if size != SECTOR or not per_cluster or not entries or not per_table:
        raise Unreadable("it is no FAT16 file system with sectors of 512 bytes")
    folder = (reserved + tables * per_table) * SECTOR
    content = folder + -(-entries * _ENTRY // SECTOR) * SECTOR
    if len(image) < content:
        raise Unreadable("it ends within its root folder")
    for position in range(folder, folder + entries * _ENTRY, _ENTRY):
        entry = image[position : position + _ENTRY]
        if entry[0] == 0:
            return
        if entry[0] == 0xE5 or entry[11] & _LONG_NAME == _LONG_NAME or entry[11] & _LABEL:
            continue
        cluster, length = struct.unpack_from("<HI", entry, 26)
        offset = content + (cluster - 2) * per_cluster * SECTOR
        yield Entry(entry[:11].decode("ascii", "replace"), position, offset, length)
