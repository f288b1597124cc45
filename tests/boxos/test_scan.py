"""What answers is found, by TCP and UDP; what is refused is told apart from what is silent."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boxos import scan as scanner
from boxos.neighbour import find_openings
from boxos.scan import find_answers, scan

LOOPBACK = "127.0.0.1"


def test_what_listens_is_open_and_what_does_not_is_refused() -> None:
    with socket.create_server((LOOPBACK, 0)) as server, socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        heard, shut = server.getsockname()[1], bound.getsockname()[1]
        found = asyncio.run(scan(LOOPBACK, (heard, shut), ()))
    assert found == {"address": LOOPBACK, "tcp": {str(heard): "open", str(shut): "refused"}, "udp": {}}
    assert find_answers(found) == sorted(
        [f"{LOOPBACK} tcp {heard}: open", f"{LOOPBACK} tcp {shut}: refused"],
        key=lambda one: int(one.split()[2][:-1]),
    )


def test_udp_that_answers_is_found_and_silence_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "_UDP_S", 0.3)

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data, address)

    async def ask() -> tuple[int, int, dict[str, Any]]:
        loop = asyncio.get_running_loop()
        echo, _ = await loop.create_datagram_endpoint(Echo, (LOOPBACK, 0))
        silent, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, (LOOPBACK, 0))
        ports = [one.get_extra_info("sockname")[1] for one in (echo, silent)]
        found = await scan(LOOPBACK, (), ports)
        echo.close()
        silent.close()
        return ports[0], ports[1], found

    heard, silent, found = asyncio.run(ask())
    assert found["udp"] == {str(heard): "answered"} and str(silent) not in found["udp"]


def test_an_address_that_cannot_be_reached_is_no_silence() -> None:
    """In a network of its own, with loopback down: run as the neighbour runs it."""
    words = ["unshare", "--net", sys.executable, "-I", str(Path(scanner.__file__)), "192.0.2.1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "192.0.2.1: Network is unreachable" in done.stderr


def test_a_neighbour_that_is_not_there_is_no_silence() -> None:
    """On a wire of a namespace of its own, where nobody else is."""
    name = f"riti-scan-{os.getpid()}"
    inside = ["ip", "netns", "exec", name, sys.executable, "-I", str(Path(scanner.__file__)), "10.99.9.2"]
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for words in (
            ("link", "set", "lo", "up"),
            ("link", "add", "wire", "type", "veth", "peer", "name", "end"),
            ("address", "add", "10.99.9.1/24", "dev", "wire"),
            ("link", "set", "wire", "up"),
            ("link", "set", "end", "up"),
        ):
            subprocess.run(["ip", "-n", name, *words], check=True)
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
    assert done.returncode == 1 and "10.99.9.2: No route to host" in done.stderr


def test_a_neighbour_must_find_the_page_and_nothing_else() -> None:
    silent = {"address": "10.0.2.15", "tcp": {}, "udp": {}}
    lan = {"address": "192.168.213.1", "tcp": {"80": "open"}, "udp": {}}
    seen: dict[str, Any] = {"wan": silent, "wan6": silent, "lan": lan, "page": {"code": "no-gateway"}}
    assert find_openings(seen) == []
    assert find_openings(seen | {"wan": silent | {"tcp": {"22": "refused"}}}) == ["10.0.2.15 tcp 22: refused"]
    assert find_openings(seen | {"wan6": silent | {"udp": {"5355": "answered"}}}) == [
        "10.0.2.15 udp 5355: answered"
    ]
    (blind,) = find_openings(seen | {"lan": silent})
    assert "on lan TCP has nothing" in blind
    (dumb,) = find_openings(seen | {"page": {}})
    assert "no code" in dumb
    assert json.dumps(seen)
