"""A Pi's firmware, emulated: reads the disk's own texts, chooses the slot as it would, and starts QEMU by it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from boxos import boot_text
from boxos.fat import read_fat
from boxos.layout import SECTOR, SELECTOR
from boxos.programs import run
from onbox.selection import NoSelection, read_selection
from ritilib.errors import RitiError

# the smallest Pi 4 that a box is made of has 1 GB; its four cores are two here, as everybody's figures in BOX.md
MACHINE = ("-machine", "virt,gic-version=2", "-nodefaults", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024")
_NODE = "/chosen/bootloader"
_SPAN = re.compile(r"^(?:\S+?)(\d+) : start=\s*(\d+), size=\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Chosen:
    """What the firmware took: partition, kernel, initrd, arguments."""

    partition: int
    kernel: Path
    initrd: Path
    arguments: str


def choose(disk: Path, work: Path, is_try: bool) -> Chosen:
    """Read what the firmware reads of disk; the files are copied to work. RitiError where a part is absent."""
    spans = find_spans(run(["sfdisk", "--dump", disk]))
    selection = read_fat(disk, boot_text.SELECTION_FILE, work / boot_text.SELECTION_FILE, spans[SELECTOR][0])
    try:
        partition = read_selection(selection.read_bytes(), is_try)
    except NoSelection as error:
        raise RitiError.because(str(error), "write the image to the card again") from None
    offset = spans[partition][0]
    config = read_config(
        read_fat(disk, boot_text.CONFIG_FILE, work / boot_text.CONFIG_FILE, offset).read_text()
    )
    taken = {part: read_fat(disk, name, work / name, offset) for part, name in config.items()}
    arguments = taken["cmdline"].read_text().strip()
    return Chosen(partition, taken["kernel"], taken["initramfs"], arguments)


def find_spans(dump: str) -> dict[int, tuple[int, int]]:
    """Partition → where it begins and its size, in bytes, from what `sfdisk --dump` says."""
    return {
        int(number): (int(start) * SECTOR, int(size) * SECTOR) for number, start, size in _SPAN.findall(dump)
    }


def read_config(text: str) -> dict[str, str]:
    """kernel, initramfs and cmdline → file, as config.txt names them; RitiError with what it does not name."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        words = line.split()
        if name in ("kernel", "cmdline"):
            found[name] = value.strip()
        elif len(words) == 3 and words[0] == "initramfs":
            found["initramfs"] = words[1]
    if absent := sorted({"kernel", "initramfs", "cmdline"} - found.keys()):
        raise RitiError.because(
            f"config.txt names no {', '.join(absent)}", "write the image to the card again"
        )
    return found


def compose(
    chosen: Chosen, disk: Path, tree: Path, more: tuple[str, ...] = (), write_log: Path | None = None
) -> list[str]:
    """QEMU's command line: the disk as it would lie in a Pi, and the device tree with what the firmware did.

    write_log: where every write and flush of the disk is noted (boxos/write_log.py reads it); it must be there, empty.
    """
    return [
        "qemu-system-aarch64",
        *MACHINE,
        *("-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
        *("-kernel", str(chosen.kernel), "-initrd", str(chosen.initrd), "-append", chosen.arguments),
        *("-dtb", str(tree), "-drive", f"{_open_card(disk, write_log)},if=none,id=card,cache=writeback"),
        *("-device", "virtio-blk-device,drive=card", "-device", "virtio-rng-device", *more),
    ]


def _open_card(disk: Path, write_log: Path | None) -> str:
    if write_log is None:
        return f"file={disk},format=raw"
    # A flush that waits for this machine's own disk would be noted after writes that came behind it, as if it had made
    # them last too; so it does not wait, and the log has the order in which the guest sees things done.
    nodes = {"file": disk, "log": write_log}
    return "driver=blklogwrites," + ",".join(
        f"{name}.driver=file,{name}.filename={path},{name}.cache.no-flush=on" for name, path in nodes.items()
    )


def describe_board(chosen: Chosen, target: Path, is_try: bool, serial: str) -> Path:
    """QEMU's own device tree with a Pi's serial number, and the slot that the firmware took, at target."""
    machine = list(MACHINE)
    machine[1] += f",dumpdtb={target}"
    run(["qemu-system-aarch64", *machine, "-display", "none"])
    run(["fdtput", "--create", target, _NODE])
    run(["fdtput", "--type", "x", target, _NODE, "partition", f"{chosen.partition:x}"])
    run(["fdtput", "--type", "x", target, _NODE, "tryboot", f"{int(is_try):x}"])
    run(["fdtput", "--type", "s", target, "/", "serial-number", serial])
    return target
