"""What the kernel must know to verify the root: dm-verity's parameters, and their form on its command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ritilib.errors import RitiError

BLOCK = 4096
_WORD = re.compile(r"riti\.verity=(\d+),([0-9a-f]{64}),([0-9a-f]{64})(?:\s|$)")


@dataclass(frozen=True)
class Verity:
    """data_blocks of 4 KiB, then one block for veritysetup's header, then the hash tree; root_hash covers all of it."""

    data_blocks: int
    root_hash: str
    salt: str

    def word(self) -> str:
        """The word of the kernel's command line that the initrd reads."""
        return f"riti.verity={self.data_blocks},{self.root_hash},{self.salt}"

    def table(self, device: str) -> str:
        """The line that dmsetup takes, for data and tree on one device. A changed block is an error, not a restart."""
        sectors = self.data_blocks * (BLOCK // 512)
        tree = self.data_blocks + 1
        return (
            f"0 {sectors} verity 1 {device} {device} {BLOCK} {BLOCK} {self.data_blocks} {tree} "
            f"sha256 {self.root_hash} {self.salt}"
        )


def read_verity(command_line: str) -> Verity:
    """The parameters in a kernel command line; RitiError where it has none."""
    found = _WORD.search(command_line)
    if not found:
        raise RitiError.because("the kernel's command line names no verified root", "build the image again")
    return Verity(int(found[1]), found[2], found[3])
