"""What a Pi's firmware reads of a slot: which files, which kernel arguments. The text that chooses between the slots is
onbox/selection.py's, since a box writes it too."""

from __future__ import annotations

from boxos.board import Board
from boxos.verity import Verity

SELECTION_FILE = "autoboot.txt"
CONFIG_FILE = "config.txt"
ARGUMENTS_FILE = "cmdline.txt"
KERNEL_FILE = "vmlinuz"
INITRD_FILE = "initrd.img"
WATCHDOG_S = 60


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
        "gpt",  # a table that a cut left half-written: the kernel takes the card's second one
        "panic=10",  # a kernel that gives up starts again, and the firmware then takes the committed slot
        verity.word(),
    ]
    return " ".join(words) + "\n"
