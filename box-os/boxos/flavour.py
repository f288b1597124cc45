"""Whose kernel an image has."""

from __future__ import annotations

from dataclasses import dataclass

from boxos.board import Board
from ritilib.errors import RitiError


@dataclass(frozen=True)
class Flavour:
    """One maker's kernel.

    kernel is the package that names the newest one; the files lie in those that it depends on and whose name begins
    with one of parts. sets_flag says whether that kernel can set a Pi's one-shot try-boot flag: Raspberry Pi's own has
    the call in its firmware driver (reboot's argument "0 tryboot"), Debian's has not (BOX.md, "Traps").
    """

    name: str
    kernel: str
    parts: tuple[str, ...]
    sets_flag: bool


FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("debian", "linux-image-arm64", ("linux-base-", "linux-binary-", "linux-modules-"), False),
        Flavour("raspios", "linux-image-rpi-v8", ("linux-image-",), True),
    )
}


def find_flavour(name: str, board: Board) -> Flavour:
    """The flavour of that name for that board.

    RitiError where there is none, or where its kernel cannot do what the board's updates need: an image that could
    never go back by itself is not made.
    """
    if name not in FLAVOURS:
        known = ", ".join(sorted(FLAVOURS))
        raise RitiError.because(f"there is no flavour {name}", f"name one of {known}")
    flavour = FLAVOURS[name]
    if board.needs_kernel_flag and not flavour.sets_flag:
        able = ", ".join(sorted(one.name for one in FLAVOURS.values() if one.sets_flag))
        raise RitiError.because(
            f"flavour {name} cannot be used on board {board.name}: its kernel cannot set the one-shot try-boot flag, "
            "so an update that fails would not go back by itself",
            f"take flavour {able}",
        )
    return flavour
