"""Where the partitions lie, and the texts that choose between them."""

from __future__ import annotations

import pytest

from boxos.board import BOARDS, find_board
from boxos.boot_text import write_arguments, write_config
from boxos.layout import MEBIBYTE, SECTOR, Layout, Sizes, plan_disk
from boxos.seed import derive_salt, derive_uuid, derive_volume_id
from boxos.verity import Verity, read_verity
from ritilib.errors import RitiError

SLOTS = Sizes()
VERITY = Verity(30_000, "ab" * 32, "cd" * 32)


def plan(seed: str = "seed", sizes: Sizes = SLOTS) -> Layout:
    return plan_disk(seed, sizes, 20 * MEBIBYTE, 150 * MEBIBYTE)


def test_partitions_are_in_order_apart_and_on_whole_erase_blocks() -> None:
    layout = plan(sizes=Sizes(selector=5, boot=33, root=151, data=7))
    assert [one.number for one in layout.partitions] == [1, 2, 3, 4, 5, 6]
    ends = [4 * MEBIBYTE - 1, *(one.start + one.size for one in layout.partitions)]
    for one, end in zip(layout.partitions, ends, strict=False):
        assert one.start >= end and one.start % (4 * MEBIBYTE) == 0
    assert layout.size >= ends[-1] + MEBIBYTE


def test_both_slots_are_of_one_size() -> None:
    layout = plan()
    assert [one.size for one in layout.partitions[1:5]] == [64 * MEBIBYTE] * 2 + [320 * MEBIBYTE] * 2


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others() -> None:
    assert plan() == plan()
    numbers = {one.uuid for seed in ("a", "b") for one in plan(seed).partitions}
    numbers |= {plan(seed).disk_uuid for seed in ("a", "b")}
    assert len(numbers) == 14
    assert derive_uuid("a", "b")[14] == "8" and derive_uuid("a", "b")[19] in "89ab"
    assert len(derive_salt("a", "b")) == 64 and len(derive_volume_id("a", "b")) == 8


def test_all_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(RitiError) as refused:
        plan_disk("seed", Sizes(boot=1, root=1), 2 * MEBIBYTE, MEBIBYTE + 1)
    assert "boot has 2,097,152 bytes, and its slot 1,048,576; root has 1,048,577" in str(refused.value)


def test_sfdisk_is_told_sectors() -> None:
    lines = plan().script().splitlines()
    assert lines[0] == "label: gpt"
    assert f"start={4 * MEBIBYTE // SECTOR}, size={8 * MEBIBYTE // SECTOR}, " in lines[4]
    assert lines[-1].endswith("name=riti-data") and len(lines) == 10


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_slots_texts_name_no_slot(name: str) -> None:
    board = find_board(name)
    texts = write_config(board) + write_arguments(board, VERITY)
    layout = plan()
    assert not [one for one in layout.partitions if one.uuid in texts or one.label in texts]
    assert "boot_partition" not in texts and "root=" not in texts
    assert f"console={board.console}" in texts and "kernel=vmlinuz\n" in texts


def test_the_initrd_reads_the_very_root_that_was_built() -> None:
    line = write_arguments(find_board("virt"), VERITY)
    assert line.count("\n") == 1
    assert read_verity(line) == VERITY
    with pytest.raises(RitiError, match="names no verified root"):
        read_verity(line.replace("ab" * 32, "ab" * 31))


def test_the_tree_begins_behind_veritysetups_header() -> None:
    words = VERITY.table("/dev/x").split()
    assert words[:2] == ["0", str(30_000 * 8)]
    assert words[2:] == [
        *("verity", "1", "/dev/x", "/dev/x", "4096", "4096", "30000", "30001"),
        *("sha256", "ab" * 32, "cd" * 32),
    ]
