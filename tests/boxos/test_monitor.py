"""What is said to QEMU's monitor while a box runs, to a socket that answers in its words."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from boxos.cables import unplug_router
from ritilib.errors import RitiError

GREETING = b"QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "


def unplug(folder: Path, answer: bytes) -> bytes:
    """What the monitor was told; it answers so, and then hangs up."""
    place = folder / "monitor"
    with socket.socket(socket.AF_UNIX) as listening, ThreadPoolExecutor(1) as pool:
        listening.bind(str(place))
        listening.listen()
        told = pool.submit(_answer, listening, answer)
        unplug_router(place)
        return told.result()


def _answer(listening: socket.socket, answer: bytes) -> bytes:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(GREETING)
        said = connection.recv(4096)
        connection.sendall(said.rstrip() + b"\r\n" + answer)
        return said


def test_the_router_is_unplugged_once_the_monitor_has_said_so(tmp_path: Path) -> None:
    assert unplug(tmp_path, b"(qemu) ") == b"set_link to-router off\n"


@pytest.mark.parametrize("answer", [b"Error: Device 'to-router' not found\r\n(qemu) ", b""])
def test_a_router_that_stays_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(RitiError, match=r"QEMU('s monitor ends| does not unplug)"):
        unplug(tmp_path, answer)
