"""The root as one file: erofs, then dm-verity's header and hash tree; and what the kernel must know of it.

Erofs, since what it packs lies in whole blocks of 4 KiB: where one file is another, the blocks of all others are the
same as before, wherever they lie, and a box that has them does not fetch them again (boxos/adaptive.py). A squashfs
packs to the byte, and is another from the first changed file to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boxos.programs import run
from boxos.seed import derive_salt, derive_uuid
from boxos.verity import BLOCK, Verity
from ritilib.errors import RitiError

# LZ4 is what every kernel's erofs reads, and every Debian's mkfs.erofs writes; zstd would make it an eighth smaller
# on the card, and a bundle packs it once more anyway. Small files that lie among the inodes would move with these: each
# update would fetch 2.6 MB of them (box-os/README.md, "What an update fetches").
_EROFS = ("-zlz4hc,9", "-C65536", "-Enoinline_data", "-x-1", "--all-root", "--quiet")
# not of the lock, as the others are: the hash tree of what did not change is then the same under the next lock too
_SALT = derive_salt("root of every image", "verity")


def write_erofs(tree: Path, target: Path, seed: str, epoch: int) -> None:
    """An erofs of tree at target: all owned by root, all of one time."""
    run(["mkfs.erofs", *_EROFS, f"-T{epoch}", f"-U{derive_uuid(seed, 'root')}", target, tree])


def add_verity(packed: Path, target: Path, seed: str) -> Verity:
    """packed and its hash tree in one file at target."""
    content = packed.read_bytes()
    blocks = -(-len(content) // BLOCK)
    target.write_bytes(content.ljust(blocks * BLOCK, b"\0"))
    words = [f"--uuid={derive_uuid(seed, 'verity')}"]
    return Verity(blocks, format_verity(target, blocks * BLOCK, _SALT, words), _SALT)


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
