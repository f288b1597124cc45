"""Decisions inside the steps: which modules, which libraries, what a firmware takes, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxos.accounts import write_accounts
from boxos.firmware import Chosen, compose, find_spans, read_config
from boxos.modules import choose_modules, order_modules, read_dependencies
from boxos.store import Store
from boxos.sweep import find_lacking, find_unneeded
from ritilib.errors import RitiError

DEPENDENCIES = read_dependencies(
    "kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz\n"
    "kernel/drivers/md/dm-bufio.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n"
    "kernel/drivers/md/dm-mod.ko.xz:\n"
    "kernel/fs/xfs/xfs.ko.xz:\n"
)


def test_a_module_comes_with_all_that_it_needs_and_no_other() -> None:
    chosen = choose_modules(DEPENDENCIES, ["drivers/md/dm-verity"])
    assert chosen == [f"kernel/drivers/md/dm-{name}.ko.xz" for name in ("bufio", "mod", "verity")]


def test_modules_are_loaded_behind_those_that_they_need() -> None:
    ordered = order_modules(DEPENDENCIES, ["built_in", "dm_verity", "xfs"])
    assert [Path(one).name.split(".")[0] for one in ordered] == ["dm-mod", "dm-bufio", "dm-verity", "xfs"]


def test_a_library_stays_as_long_as_something_reaches_it() -> None:
    needs = {
        "liba.so.1": ["libb.so.1"],
        "libb.so.1": ["liba.so.1"],
        "libc.so.6": [],
        "libd.so.1": ["libc.so.6"],
    }
    assert find_unneeded(needs, needs, ["liba.so.1"]) == ["libc.so.6", "libd.so.1"]
    assert find_unneeded(needs, needs, ["libd.so.1"]) == ["liba.so.1", "libb.so.1"]


def test_who_needs_what_is_not_there_is_named() -> None:
    needs = {"usr/bin/x": ["libc.so.6", "libpthread.so.0"], "usr/bin/y": ["libc.so.6"], "usr/bin/z": []}
    assert find_lacking(needs, ["libc.so.6"]) == ["usr/bin/x needs libpthread.so.0"]
    assert find_lacking(needs, ["libc.so.6", "libpthread.so.0"]) == []


def test_the_firmware_takes_what_config_names() -> None:
    text = "[all]\nkernel=k\ninitramfs i followkernel\ncmdline=c\n"
    assert read_config(text) == {"kernel": "k", "initramfs": "i", "cmdline": "c"}
    with pytest.raises(RitiError, match="names no cmdline, initramfs"):
        read_config("kernel=k\n")


def test_partitions_are_found_by_what_sfdisk_says() -> None:
    dump = "label: gpt\n\n/tmp/card.img1 : start=        8192, size=  16384\n/tmp/card.img2 : start=  24576, size= 1\n"
    assert find_spans(dump) == {1: (8192 * 512, 16384 * 512), 2: (24576 * 512, 512)}


def test_nobody_has_a_password_or_a_shell() -> None:
    files = write_accounts()
    for line in files["etc/shadow"][0].splitlines():
        assert line.split(":")[1] == "*"
    for line in files["etc/passwd"][0].splitlines():
        assert line.endswith(":/usr/sbin/nologin")
    assert files["etc/shadow"][1] == 0o600
    numbers = [line.split(":")[2] for line in files["etc/group"][0].splitlines()]
    assert len(numbers) == len(set(numbers))


def test_what_was_made_is_not_made_again_and_what_failed_is_not_there(tmp_path: Path) -> None:
    calls: list[str] = []

    def build(target: Path) -> None:
        calls.append("built")
        target.write_text("x")

    def fail(target: Path) -> None:
        target.write_text("half")
        raise RitiError.because("no", "")

    store = Store(tmp_path, lambda _line: None)
    made = store.make("a", ["1"], build)
    assert store.make("a", ["1"], build) == made and calls == ["built"]
    assert store.make("a", ["2"], build) != made and len(calls) == 2
    assert Store(tmp_path, lambda _line: None, fresh=True).make("a", ["1"], build) == made and len(calls) == 3
    with pytest.raises(RitiError):
        store.make("b", ["1"], fail)
    assert [path.name[17:] for path in tmp_path.iterdir()] == ["a", "a"]


def test_a_cards_writes_are_noted_where_they_are_asked_for() -> None:
    chosen = Chosen(2, Path("kernel"), Path("initrd"), "ro")
    card, log = Path("/work/card.img"), Path("/work/first.log")
    plain = compose(chosen, card, Path("tree"))
    assert "file=/work/card.img,format=raw,if=none,id=card,cache=writeback" in plain
    noted = next(
        word for word in compose(chosen, card, Path("tree"), (), log) if "driver=blklogwrites" in word
    )
    words = noted.split(",")
    assert "file.filename=/work/card.img" in words and "log.filename=/work/first.log" in words
    # the card's own flushes must come as far as the log, and wait for nothing behind it
    assert "cache=writeback" in words and "cache.no-flush=on" not in words
    assert {"file.cache.no-flush=on", "log.cache.no-flush=on"} <= set(words)
