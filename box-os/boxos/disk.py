"""The disk image: a table and six partitions, put together without mounting anything; slot B is empty."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from boxos.layout import Layout
from boxos.programs import run

_CHUNK = 1024 * 1024
_NOTHING = bytes(_CHUNK)
_BLOCK = 4096
_MOST_BLOCKS = 1024**4 // _BLOCK


def assemble(layout: Layout, contents: Mapping[int, Path], target: Path) -> None:
    """A disk at target; contents: partition → its image. What is nothing but zeros takes no room on this machine."""
    with target.open("wb") as disk:
        disk.truncate(layout.size)
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", target], said=layout.script())
    with target.open("r+b") as disk:
        for number, image in sorted(contents.items()):
            disk.seek(layout.find(number).start)
            with image.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    if chunk == _NOTHING[: len(chunk)]:
                        disk.seek(len(chunk), os.SEEK_CUR)
                    else:
                        disk.write(chunk)


def make_data(target: Path, uuid: str, seed: str, mebibytes: int, epoch: int) -> None:
    """An empty ext4 at target; the first boot lets it grow to the end of the card.

    Its journal is that of a small file system for ever; blocks of 4 KiB and room for the tables of a terabyte are what
    lets the rest grow while it is mounted. Its superblock has no checksum: it is two sectors, written in place at each
    start, and one that a cut left half-written is mounted all the same (what changes is all in the first), where it
    would not be with a checksum in the second (`make image-crashes` found that). Groups have theirs, by which the
    kernel need not write all of a large card's tables at the first start.
    """
    options = f"resize={_MOST_BLOCKS},hash_seed={seed},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    # mke2fs takes its time from this variable since 1.47.1, and from another one before
    extra = {"E2FSPROGS_FAKE_TIME": str(epoch)}
    words = [
        "-t",
        "ext4",
        "-q",
        "-F",
        "-b",
        str(_BLOCK),
        "-L",
        "riti-data",
        "-U",
        uuid,
        "-E",
        options,
        "-O",
        "^metadata_csum,uninit_bg,64bit,^orphan_file",
    ]
    run(["mke2fs", *words, target, f"{mebibytes}M"], extra=extra, epoch=epoch)


def pack(image: Path, target: Path) -> None:
    """image, packed by zstd on one thread: the bytes do not depend on how many processors this machine has.

    The root in it is packed already: level 19 won 0.2 % for 43 s.
    """
    run(["zstd", "--quiet", "-3", "--single-thread", "--force", image, "-o", target])
