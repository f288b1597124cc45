"""The selector's file system as bytes: found, changed by one sector, marked."""

from __future__ import annotations

import struct

import pytest

from onbox.selection import BOOT_A, write_selection
from onbox.selector import (
    SECTOR,
    Unreadable,
    count_marks,
    find_asked,
    find_selection,
    list_files,
    mark_entry,
)

RESERVED, TABLES, PER_TABLE, ENTRIES, PER_CLUSTER = 4, 2, 8, 64, 1
FOLDER = (RESERVED + TABLES * PER_TABLE) * SECTOR
CONTENT = FOLDER + ENTRIES * 32


def make(*entries: bytes) -> bytes:
    """A FAT16 file system as the specification has it, with these entries behind its label."""
    first = bytearray(SECTOR)
    struct.pack_into(
        "<HBHBHHBH", first, 11, SECTOR, PER_CLUSTER, RESERVED, TABLES, ENTRIES, 16384, 0xF8, PER_TABLE
    )
    first[510:] = b"\x55\xaa"
    folder = b"".join((entry("RITI-SELECT", attribute=0x08), *entries)).ljust(ENTRIES * 32, b"\0")
    image = bytes(first).ljust(FOLDER, b"\0") + folder
    return image + write_selection(BOOT_A).ljust(16 * SECTOR, b"\0")


def entry(name: str, cluster: int = 0, size: int = 0, attribute: int = 0x20) -> bytes:
    return name.encode("latin-1") + bytes([attribute]) + bytes(14) + struct.pack("<HI", cluster, size)


SELECTION = entry("AUTOBOOTTXT", 2, SECTOR)


def test_the_selections_sector_is_found() -> None:
    image = make(entry("\xe5UTOBOOTTXT", 9, 3), entry("Ae.txt     ", attribute=0x0F), SELECTION)
    found = find_selection(image)
    assert found.offset == CONTENT and image[found.offset :][:SECTOR] == write_selection(BOOT_A)
    assert [one.name for one in list_files(image)] == ["AUTOBOOTTXT"]


@pytest.mark.parametrize(
    "image",
    [b"", bytes(4096), make(), make(entry("AUTOBOOTTXT", 2, 70)), make(SELECTION)[: FOLDER + 32]],
    ids=["nothing", "zeros", "no file", "not a sector", "cut short"],
)
def test_what_is_not_as_it_was_made_is_refused(image: bytes) -> None:
    with pytest.raises(Unreadable):
        find_selection(image)


@pytest.mark.parametrize("name", ["RESCUE     ", "RESCUE  TXT"])
def test_who_asks_for_the_rescue_way_leaves_a_mark_each_time(name: str) -> None:
    image = make(SELECTION, entry(name))
    for times in (1, 2):
        asked = find_asked(image)
        assert asked is not None
        offset, sector = mark_entry(image, asked)
        assert offset % SECTOR == 0 and len(sector) == SECTOR
        image = image[:offset] + sector + image[offset + SECTOR :]
        assert (find_asked(image), count_marks(image)) == (None, times)
        assert find_selection(image).size == SECTOR
        place = FOLDER + 32 * (2 + times)
        image = image[:place] + entry(name) + image[place + 32 :]


def test_nothing_else_asks() -> None:
    names = ("RESCUED1001", "RESCUER    ", "\xe5ESCUE     ", "RESCUE  TX ")
    assert find_asked(make(SELECTION, *(entry(name) for name in names))) is None


def test_a_mark_does_not_touch_what_lies_beside_it() -> None:
    others = [entry(f"FILE{number:02}     ") for number in range(20)]
    image = make(SELECTION, *others, entry("RESCUE     "))
    asked = find_asked(image)
    assert asked is not None
    offset, sector = mark_entry(image, asked)
    before = image[offset : offset + SECTOR]
    assert [index for index in range(SECTOR) if sector[index] != before[index]] == [
        asked.position - offset + index for index in (6, 7, 8, 9, 10)
    ]
