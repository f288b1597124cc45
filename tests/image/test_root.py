"""The root and the bundle by the programs that make them (make image-tools): the same bytes, few of them to fetch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from boxos.adaptive import compare, hash_blocks
from boxos.bundle import make_payload
from boxos.manifest import BOOT_IMAGE, ROOT_IMAGE
from boxos.programs import run
from boxos.root_image import add_verity, write_erofs
from boxos.verity import BLOCK

NAMES = tuple(f"file{number:02}" for number in range(60))


def make_root(folder: Path, names: Sequence[str], longer: str = "", seed: str = "a lock") -> Path:
    """A root of files with words in them, written in the order of names; one of them has more to say."""
    tree = folder / "tree"
    for name in names:
        words = random.Random(name).choices(("call", "office", "bell", "ring", "wire"), k=12_000)
        place = tree / name[-1] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        more = random.Random(0).randbytes(20_000).hex() if name == longer else ""
        place.write_text(more + " ".join(words))
    (tree / "small").write_text("x")
    write_erofs(tree, folder / "root.erofs", seed, 1_790_000_000)
    add_verity(folder / "root.erofs", folder / ROOT_IMAGE, seed)
    return folder / ROOT_IMAGE


def test_the_same_files_are_the_same_root_whatever_order_they_were_written_in(tmp_path: Path) -> None:
    roots = [
        make_root(tmp_path / str(index), names) for index, names in enumerate((NAMES, tuple(reversed(NAMES))))
    ]
    assert roots[0].read_bytes() == roots[1].read_bytes()


def test_where_one_file_is_another_most_of_the_root_is_found_though_it_has_moved(tmp_path: Path) -> None:
    old, new = make_root(tmp_path / "old", NAMES), make_root(tmp_path / "new", NAMES, "file20")
    assert new.stat().st_size > old.stat().st_size
    found = compare(old, new)
    # the file itself, the inodes, the hash tree
    assert 0 < len(found.fetched) < found.blocks // 10


def test_another_lock_leaves_the_hash_tree_as_it_is(tmp_path: Path) -> None:
    old, new = make_root(tmp_path / "old", NAMES), make_root(tmp_path / "new", NAMES, seed="another lock")
    # the two headers, and above the first one its path of the tree: two levels of it
    assert 0 < len(compare(old, new).fetched) <= 4


def test_a_bundle_has_the_index_of_each_image_beside_it(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", NAMES)
    boot = tmp_path / "boot"
    boot.write_bytes(b"kernel".ljust(16 * BLOCK, b"\0"))
    signed = make_payload(boot, root, tmp_path / "payload", "a lock", 1_790_000_000)
    assert set(signed.payload.images) == {BOOT_IMAGE, ROOT_IMAGE}
    run(["unsquashfs", "-quiet", "-no-progress", "-dest", tmp_path / "taken", signed.file])
    for name, image in ((BOOT_IMAGE, boot), (ROOT_IMAGE, root)):
        index = (tmp_path / "taken" / f"{name}.block-hash-index").read_bytes()
        assert index == b"".join(hash_blocks(image)) and len(index) == image.stat().st_size // BLOCK * 32
