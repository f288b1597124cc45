"""Which blocks of a new image a box has already: RAUC's adaptive method block-hash-index, and what it leaves to fetch.

RAUC (src/hash_index.c, src/update_handler.c) reads the index of the new image from the bundle, and looks each of its
blocks of 4 KiB up by its SHA-256: among those written already, in the slot that is written to, in the one that runs. At
any position, so that what has only moved is found, where it moved by whole blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boxos.manifest import ADAPTIVE
from boxos.verity import BLOCK
from ritilib.errors import RitiError

_DIGEST = 32
_MEGABYTE = 1_000_000
_ZERO = hashlib.sha256(bytes(BLOCK)).digest()


@dataclass(frozen=True)
class Difference:
    """Of a new image of `blocks` blocks: the positions of those that have to be fetched, in their order."""

    blocks: int
    fetched: tuple[int, ...]

    @property
    def fetched_bytes(self) -> int:
        return len(self.fetched) * BLOCK

    @property
    def index_bytes(self) -> int:
        """Of the image's index, which is always fetched whole."""
        return self.blocks * _DIGEST


def hash_blocks(image: Path) -> Iterator[bytes]:
    """SHA-256 of each block; RitiError where image does not consist of whole ones, of which RAUC refuses an index."""
    if image.stat().st_size % BLOCK:
        raise RitiError.because(f"{image.name} is not of whole blocks of {BLOCK} bytes", "pad it with zeros")
    with image.open("rb") as stream:
        while content := stream.read(BLOCK):
            yield hashlib.sha256(content).digest()


def write_index(image: Path) -> Path:
    """The index of image, in the file beside it in which RAUC looks for it: the digests, one after the other."""
    target = image.with_name(f"{image.name}.{ADAPTIVE}")
    with target.open("wb") as stream:
        stream.writelines(hash_blocks(image))
    return target


def compare(old: Path, new: Path) -> Difference:
    """What a box whose slots hold old fetches of new. Blocks of zeros are never fetched, and each other one once."""
    return find_fetched(hash_blocks(old), hash_blocks(new))


def describe(difference: Difference) -> dict[str, float]:
    """In MB: the blocks to fetch, the index, the whole image; before a bundle packs them."""
    parts = {
        "blocks_mb": difference.fetched_bytes,
        "index_mb": difference.index_bytes,
        "image_mb": difference.blocks * BLOCK,
    }
    return {part: round(size / _MEGABYTE, 3) for part, size in parts.items()}


def find_fetched(old: Iterable[bytes], new: Iterable[bytes]) -> Difference:
    """compare, of what hash_blocks gives."""
    had = {_ZERO, *old}
    fetched = []
    count = 0
    for position, digest in enumerate(new):
        count += 1
        if digest not in had:
            had.add(digest)
            fetched.append(position)
    return Difference(count, tuple(fetched))
