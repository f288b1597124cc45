"""The three texts that a Pi's firmware reads: which slot, which files, which kernel arguments."""

from __future__ import annotations

from boxos.board import Board
from boxos.layout import BOOT_A, BOOT_B
from boxos.verity import Verity
from ritilib.errors import RitiError

SELECTION_FILE = "autoboot.txt"
CONFIG_FILE = "config.txt"
ARGUMENTS_FILE = "cmdline.txt"
KERNEL_FILE = "vmlinuz"
INITRD_FILE = "initrd.img"
# the firmware reads no more of it; one sector is also what a card writes whole or not at all
LONGEST_SELECTION = 512
WATCHDOG_S = 60


def write_selection(committed: int) -> str:
    """autoboot.txt: the committed boot partition, and the other one for a single try."""
    if committed not in (BOOT_A, BOOT_B):
        raise RitiError.because(f"partition {committed} is no boot partition", f"name {BOOT_A} or {BOOT_B}")
    other = BOOT_A + BOOT_B - committed
    text = f"[all]\ntryboot_a_b=1\nboot_partition={committed}\n[tryboot]\nboot_partition={other}\n"
    assert len(text) <= LONGEST_SELECTION
    return text


def read_selection(text: str, is_try: bool) -> int:
    """The boot partition that a Pi's firmware takes by that autoboot.txt.

    A section of the try comes after [all] and wins over it. RitiError where it names none.
    """
    taken = None
    applies = True
    for line in (one.strip() for one in text[:LONGEST_SELECTION].splitlines()):
        if line.startswith("["):
            applies = line == "[all]" or (line == "[tryboot]" and is_try)
        name, _, value = line.partition("=")
        if applies and name == "boot_partition" and value.isdigit():
            taken = int(value)
    if taken is None:
        raise RitiError.because("autoboot.txt names no boot partition", "write the image to the card again")
    return taken


def write_config(board: Board) -> str:
    """config.txt of a slot. The firmware's watchdog goes on into the OS: a kernel that hangs at its start is ended."""
    lines = [
        "[all]",
        "arm_64bit=1",
        f"kernel={KERNEL_FILE}",
        f"initramfs {INITRD_FILE} followkernel",
        f"cmdline={ARGUMENTS_FILE}",
        f"kernel_watchdog_timeout={WATCHDOG_S}",
        "disable_splash=1",
        *board.config_lines,
    ]
    return "\n".join(lines) + "\n"


def write_arguments(board: Board, verity: Verity) -> str:
    """cmdline.txt of a slot: one line. It names no partition: the same bytes serve both slots, and the initrd takes
    the root that belongs to the boot partition which the firmware says it took."""
    words = [
        f"console={board.console}",
        "ro",
        "quiet",
        "panic=10",  # a kernel that gives up starts again, and the firmware then takes the committed slot
        verity.word(),
    ]
    return " ".join(words) + "\n"
