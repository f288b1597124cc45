"""FAT file systems with the same bytes each time, written without mounting anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from boxos.layout import MEBIBYTE
from boxos.programs import run


def make_fat(
    target: Path, label: str, volume_id: str, mebibytes: int, files: Mapping[str, Path], epoch: int
) -> None:
    """A FAT file system at target, of that size, with these files (name → content) in its root folder."""
    with target.open("wb") as empty:
        empty.truncate(mebibytes * MEBIBYTE)
    # the kind is said, not guessed by size; a small one of FAT16 has too few clusters unless they are of one sector
    kind = ("-F", "32") if mebibytes >= 64 else ("-F", "16", "-s", "1" if mebibytes < 16 else "4")
    run(["mkfs.vfat", "--invariant", *kind, "-n", label, "-i", volume_id, target], epoch=epoch)
    for name, content in sorted(files.items()):
        os.utime(content, (epoch, epoch))
        # -m keeps the file's time; mtools writes it in the zone of TZ, which run() sets
        run(["mcopy", "-m", "-i", target, content, f"::{name}"], epoch=epoch)


def read_fat(image: Path, name: str, target: Path, offset: int = 0) -> Path:
    """Copy one file out of the FAT file system that begins at offset of image."""
    run(["mcopy", "-n", "-o", "-i", f"{image}@@{offset}", f"::{name}", target])
    return target
