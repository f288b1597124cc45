"""autoboot.txt, by which a Pi's firmware takes a boot partition: the committed one, and the other for a single try."""

from __future__ import annotations

BOOT_A, BOOT_B = 2, 3
SLOTS = {"A": BOOT_A, "B": BOOT_B}
# The firmware reads no more of it, and one sector is what a card writes whole or not at all: so the text fills it, and
# a change is a write of that one sector, without the file system's tables.
SECTOR = 512


class NoSelection(Exception):
    """autoboot.txt names no boot partition."""


def write_selection(committed: int) -> bytes:
    """The sector: committed is 2 or 3, the other one is taken for a try. ValueError where it is neither."""
    if committed not in (BOOT_A, BOOT_B):
        raise ValueError(f"partition {committed} is no boot partition")
    other = BOOT_A + BOOT_B - committed
    text = f"[all]\ntryboot_a_b=1\nboot_partition={committed}\n[tryboot]\nboot_partition={other}\n"
    return text.encode().ljust(SECTOR, b"\n")


def read_selection(sector: bytes, is_try: bool) -> int:
    """The boot partition that a Pi's firmware takes by it.

    A section of the try comes after [all] and wins over it. NoSelection where it names none.
    """
    taken = None
    applies = True
    for line in (one.strip() for one in sector[:SECTOR].decode("ascii", "replace").splitlines()):
        if line.startswith("["):
            applies = line == "[all]" or (line == "[tryboot]" and is_try)
        name, _, value = line.partition("=")
        if applies and name == "boot_partition" and value.isdigit():
            taken = int(value)
    if taken is None:
        raise NoSelection("autoboot.txt names no boot partition")
    return taken


def name_slot(partition: int) -> str:
    """ "A" or "B"; ValueError for another partition."""
    for name, number in SLOTS.items():
        if number == partition:
            return name
    raise ValueError(f"partition {partition} is no boot partition")
