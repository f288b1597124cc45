"""The boards that an image is made for."""

from __future__ import annotations

from dataclasses import dataclass

from ritilib.errors import RitiError


@dataclass(frozen=True)
class Board:
    """One board.

    compatible is what a bundle names and RAUC compares: a bundle of another board is refused. console is the kernel's
    serial console, a person's last resort. config_lines go into config.txt, behind what all boards have there.
    needs_kernel_flag says that the one-shot try-boot flag can be set by the board's kernel alone; an emulated firmware
    takes it from the image by other means.
    """

    name: str
    compatible: str
    console: str
    config_lines: tuple[str, ...]
    needs_kernel_flag: bool


BOARDS = {
    board.name: board
    for board in (
        Board("pi4", "riti-box-pi4", "ttyS1,115200", ("enable_uart=1", "dtparam=watchdog=on"), True),
        Board("pi5", "riti-box-pi5", "ttyAMA10,115200", ("dtparam=watchdog=on",), True),
        Board("virt", "riti-box-virt", "ttyAMA0", (), False),
    )
}


def find_board(name: str) -> Board:
    """The board of that name; RitiError with the names that there are."""
    if name not in BOARDS:
        raise RitiError.because(f"there is no board {name}", f"name one of {', '.join(sorted(BOARDS))}")
    return BOARDS[name]
