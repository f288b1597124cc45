"""Which images may be made."""

from __future__ import annotations

import pytest

from boxos.board import BOARDS, find_board
from boxos.flavour import FLAVOURS, find_flavour
from boxos.recipe import PACKAGES, Recipe
from ritilib.errors import RitiError


@pytest.mark.parametrize("board", ["pi4", "pi5"])
def test_a_kernel_that_cannot_try_is_refused_for_a_board_that_needs_it(board: str) -> None:
    with pytest.raises(RitiError, match=f"debian cannot be used on board {board}.*try-boot") as refused:
        find_flavour("debian", find_board(board))
    assert refused.value.problems[0].mend == "take flavour raspios"
    assert find_flavour("raspios", find_board(board)).sets_flag


def test_an_emulated_board_takes_either_kernel() -> None:
    assert {find_flavour(name, find_board("virt")).name for name in FLAVOURS} == {"debian", "raspios"}


@pytest.mark.parametrize(("find", "said"), [("pi3", "board"), ("gentoo", "flavour")])
def test_what_is_not_known_is_refused_with_what_is(find: str, said: str) -> None:
    with pytest.raises(RitiError, match=f"there is no {said} {find}; name one of"):
        find_board(find) if said == "board" else find_flavour(find, find_board("virt"))


def test_bundles_of_one_board_are_no_other_ones() -> None:
    assert len({board.compatible for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("version", ["", "1.2", "1.2.3/../x", "1.2.3 4", "v1.2.3", "1.2.3\n"])
def test_a_version_is_one(version: str) -> None:
    with pytest.raises(RitiError, match="is no version"):
        Recipe(find_board("virt"), FLAVOURS["debian"], version)


def test_nobody_comes_in_by_a_package() -> None:
    assert not [name for name in PACKAGES if "ssh" in name or name in ("apt", "sudo", "telnetd")]
    assert list(PACKAGES) == sorted(set(PACKAGES))
