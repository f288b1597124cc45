"""The disk: six GPT partitions, where each lies, and the script by which sfdisk makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from boxos.seed import derive_uuid
from ritilib.errors import RitiError

MEBIBYTE = 1024 * 1024
SECTOR = 512
_ALIGNMENT = 4 * MEBIBYTE  # an SD card's erase block is 4 MiB; a partition that begins within one wears two
# GPT's own types: what they are taken for by others' tools
_FAT = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

SELECTOR, BOOT_A, BOOT_B, ROOT_A, ROOT_B, DATA = range(1, 7)
# a box finds them by these, for ever: a later image, of another lock, runs on a card that has another's numbers
LABELS = {
    SELECTOR: "riti-selector",
    BOOT_A: "riti-boot-a",
    BOOT_B: "riti-boot-b",
    ROOT_A: "riti-root-a",
    ROOT_B: "riti-root-b",
    DATA: "riti-data",
}


@dataclass(frozen=True)
class Partition:
    """number is what the firmware and the initrd know it by; label is GPT's name; all sizes are bytes."""

    number: int
    label: str
    kind: str
    uuid: str
    start: int
    size: int


@dataclass(frozen=True)
class Layout:
    partitions: tuple[Partition, ...]
    disk_uuid: str
    size: int

    def find(self, number: int) -> Partition:
        return self.partitions[number - 1]

    def script(self) -> str:
        """For sfdisk's standard input."""
        lines = [
            "label: gpt",
            f"label-id: {self.disk_uuid}",
            "unit: sectors",
            f"first-lba: {_ALIGNMENT // 2 // SECTOR}",
        ]
        lines += [
            f"start={one.start // SECTOR}, size={one.size // SECTOR}, "
            f"type={one.kind}, uuid={one.uuid}, name={one.label}"
            for one in self.partitions
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Sizes:
    """What each slot offers, in MiB: the same on every box for ever, so that later versions must fit in it too.

    data is its size before the first boot, which grows it to the end of the card.
    """

    selector: int = 8
    boot: int = 64
    root: int = 320
    data: int = 16


def plan_disk(seed: str, sizes: Sizes, boot_bytes: int, root_bytes: int) -> Layout:
    """Where everything lies; RitiError with each part that does not fit into its slot."""
    too_large = [
        f"{name} has {size:,} bytes, and its slot {slot * MEBIBYTE:,}"
        for name, size, slot in (("boot", boot_bytes, sizes.boot), ("root", root_bytes, sizes.root))
        if size > slot * MEBIBYTE
    ]
    if too_large:
        raise RitiError.because("; ".join(too_large), "make the image smaller: boxes in use keep their slots")
    wanted: Sequence[tuple[int, str, int]] = (
        (SELECTOR, _FAT, sizes.selector),
        (BOOT_A, _FAT, sizes.boot),
        (BOOT_B, _FAT, sizes.boot),
        (ROOT_A, _LINUX, sizes.root),
        (ROOT_B, _LINUX, sizes.root),
        (DATA, _LINUX, sizes.data),
    )
    partitions = []
    start = _ALIGNMENT
    for number, kind, mebibytes in wanted:
        size, label = mebibytes * MEBIBYTE, LABELS[number]
        partitions.append(Partition(number, label, kind, derive_uuid(seed, label), start, size))
        start += -(-size // _ALIGNMENT) * _ALIGNMENT
    # behind the last one GPT keeps its second table
    return Layout(tuple(partitions), derive_uuid(seed, "disk"), start + _ALIGNMENT)
