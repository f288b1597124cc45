"""What a box fetches of a new image: the index that RAUC reads, and the blocks that it finds nowhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from boxos.adaptive import compare, describe, hash_blocks, write_index
from boxos.verity import BLOCK
from ritilib.errors import RitiError


def make_image(file: Path, blocks: bytes) -> Path:
    """An image with a block of each of these bytes."""
    file.write_bytes(b"".join(bytes([one]) * BLOCK for one in blocks))
    return file


def test_the_index_is_the_digest_of_each_block_one_after_the_other(tmp_path: Path) -> None:
    index = write_index(make_image(tmp_path / "root.img", b"ab"))
    assert index == tmp_path / "root.img.block-hash-index"
    assert index.read_bytes() == b"".join(hashlib.sha256(one * BLOCK).digest() for one in (b"a", b"b"))


def test_what_only_moved_by_whole_blocks_is_found(tmp_path: Path) -> None:
    old = make_image(tmp_path / "old", b"abcd")
    found = compare(old, make_image(tmp_path / "new", b"axbcd"))
    assert (found.blocks, found.fetched, found.fetched_bytes) == (5, (1,), BLOCK)
    shifted = tmp_path / "shifted"
    # by one byte: a squashfs's way, and nothing of it is found
    shifted.write_bytes((b"x" + (tmp_path / "old").read_bytes()).ljust(5 * BLOCK, b"\0"))
    assert compare(old, shifted).fetched == (0, 1, 2, 3, 4)


def test_zeros_are_never_fetched_and_nothing_is_fetched_twice(tmp_path: Path) -> None:
    found = compare(make_image(tmp_path / "old", b"a"), make_image(tmp_path / "new", b"\0bab\0b"))
    assert found.fetched == (1,)


def test_what_is_said_of_it_has_the_index_which_is_always_fetched(tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", bytes(range(1, 251)))
    assert describe(compare(image, image)) == {"blocks_mb": 0.0, "index_mb": 0.008, "image_mb": 1.024}


def test_an_image_that_ends_within_a_block_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"x" * (BLOCK + 1))
    with pytest.raises(RitiError, match="not of whole blocks"):
        list(hash_blocks(tmp_path / "image"))
