"""Two network namespaces joined by two cables, and sockets in them: for what only the kernel can decide."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ritilib.devstack.overlay.sockets import run_inside


@dataclass(frozen=True)
class Pair:
    """inside has the interfaces public and riti; outside has the other ends of both cables."""

    inside: str
    outside: str

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A program inside, to its end."""
        return subprocess.run(self.argv(*argv), capture_output=True, text=True, check=False)

    def argv(self, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.inside, *argv]

    def address(self, interface: str, address: str) -> None:
        """Give an interface of the inside an address."""
        _ip("-n", self.inside, "address", "add", address, "dev", interface, "nodad")


@contextmanager
def hold_pair() -> Iterator[Pair]:
    """The pair, with every link up; addresses: public 10.99.7.1/24 and fd00:7::1/64, outside .2 and ::2."""
    pair = Pair(f"riti-in-{os.getpid()}", f"riti-out-{os.getpid()}")
    try:
        for name in (pair.inside, pair.outside):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for name, far in (("public", "far-public"), ("riti", "far-riti")):
            _ip("link", "add", name, "netns", pair.inside, "type", "veth", "peer", far, "netns", pair.outside)
            _ip("-n", pair.inside, "link", "set", name, "up")
            _ip("-n", pair.outside, "link", "set", far, "up")
        for address in ("10.99.7.1/24", "fd00:7::1/64"):
            pair.address("public", address)
        for address in ("10.99.7.2/24", "fd00:7::2/64"):
            _ip("-n", pair.outside, "address", "add", address, "dev", "far-public", "nodad")
        yield pair
    finally:
        for name in (pair.inside, pair.outside):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def open_udp(namespace: str, address: str = "", port: int = 0) -> socket.socket:
    """A UDP socket of that namespace; it stays there whichever thread uses it."""

    def open_bound() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((address, port))
        return opened

    return run_inside(f"/run/netns/{namespace}", open_bound)


def connect_tcp(pid: int, address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection from within the network namespace of a process."""
    return run_inside(f"/proc/{pid}/ns/net", lambda: socket.create_connection((address, port), timeout_s))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
