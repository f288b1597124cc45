"""What /readyz says of the servers after a cycle, and when it says so no more."""

from __future__ import annotations

from io import StringIO

import pytest

from ritilib.errors import Denied, Problem, RitiError, Unreachable
from ritilib.sync.chronicle import Chronicle
from ritilib.sync.journal import Journal
from ritilib.sync.web.board import Board
from ritilib.sync.web.metrics import Metrics

AWAY = Unreachable.because("Consul at http://c gave no answer (list keys): ConnectTimeout", "wait")
NO_RIGHT = Denied.because("Nomad denied: list jobs: 403", "take a token with that right in NOMAD_TOKEN")
OF_ONE = RitiError(
    [Problem("", 0, 0, "acme/salto: Vault at http://v gave no answer (write): timeout", "wait")]
)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def chronicle(board: Board) -> Chronicle:
    made = Chronicle(Journal(StringIO(), "plain"), Metrics(), board)
    made.note_commit("c1")
    made.note_role(leads=True)
    return made


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (AWAY, "Consul did not answer in the last cycle"),
        (NO_RIGHT, "Nomad refused the token in the last cycle"),
        (OF_ONE, "Vault did not answer in the last cycle"),
    ],
)
def test_a_server_that_is_of_no_use_is_named(
    chronicle: Chronicle, board: Board, error: RitiError, lack: str
) -> None:
    chronicle.note_failed_cycle(error, 0.1)
    assert board.standing.list_lacks() == [lack]


def test_who_follows_is_ready_again_once_the_lock_was_read(chronicle: Chronicle, board: Board) -> None:
    chronicle.note_failed_cycle(AWAY, 0.1)
    chronicle.note_waiting("waiting: another leads since noon")
    assert board.standing.role == "follows"
    assert board.standing.list_lacks() == []
