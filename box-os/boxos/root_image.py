"""The root as one file: squashfs, then dm-verity's header and hash tree; and what the kernel must know of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from boxos.programs import run
from boxos.seed import derive_salt, derive_uuid
from boxos.verity import BLOCK, Verity
from ritilib.errors import RitiError

# zstd's reader is quick, and Pi OS's and Debian's kernels both have it; other ways were not measured on this root
SQUASHFS = (
    "-comp",
    "zstd",
    "-Xcompression-level",
    "19",
    "-b",
    "1M",
    "-noappend",
    "-no-exports",
    "-no-progress",
)


def squash(tree: Path, target: Path, epoch: int) -> None:
    """A squashfs of tree at target: all owned by root, all of one time."""
    words = ["-all-root", "-reproducible", "-no-xattrs", "-processors", str(os.cpu_count() or 1), "-quiet"]
    # the one environment variable gives all times; mksquashfs refuses it beside its own options for them
    run(["mksquashfs", tree, target, *SQUASHFS, *words, "-all-time", str(epoch), "-mkfs-time", str(epoch)])


def add_verity(squashed: Path, target: Path, seed: str) -> Verity:
    """squashed and its hash tree in one file at target."""
    content = squashed.read_bytes()
    blocks = -(-len(content) // BLOCK)
    target.write_bytes(content.ljust(blocks * BLOCK, b"\0"))
    salt = derive_salt(seed, "verity")
    return Verity(
        blocks, format_verity(target, blocks * BLOCK, salt, [f"--uuid={derive_uuid(seed, 'verity')}"]), salt
    )


def format_verity(file: Path, size: int, salt: str, words: Sequence[str]) -> str:
    """Write the hash tree of file's first size bytes behind them; its root hash."""
    told = ["--hash=sha256", f"--salt={salt}", f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}"]
    told += [f"--data-blocks={size // BLOCK}", f"--hash-offset={size}", *words]
    said = run(["veritysetup", "format", *told, file, file])
    for line in said.splitlines():
        name, _, value = line.partition(":")
        if name == "Root hash":
            return value.strip()
    raise RitiError.because("veritysetup says no root hash", "look at its version: veritysetup --version")
