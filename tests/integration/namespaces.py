"""Two network namespaces joined by two cables, and sockets in them: for what only the kernel can decide."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

_CLONE_NEWNET = 0x40000000
_EVERY_PROTOCOL = 0x0003  # ETH_P_ALL
_RECEIVE_BUFFER_FORCE = 33  # SO_RCVBUFFORCE, which is root's
_CAPTURE_BYTES = 64 << 20


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

    return _open_in(f"/run/netns/{namespace}", open_bound)


def connect_tcp(pid: int, address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection from within the network namespace of a process."""
    return _open_in(f"/proc/{pid}/ns/net", lambda: socket.create_connection((address, port), timeout_s))


def _open_in(namespace: str, open_socket: Callable[[], socket.socket]) -> socket.socket:
    def enter() -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(namespace) as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return open_socket()

    with ThreadPoolExecutor(1) as thread:  # a thread that ends: its namespace is the socket's alone
        return thread.submit(enter).result()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def open_raw(pid: int, protocol: int) -> socket.socket:
    """A raw socket of the network namespace of a process; it sends what stands after the IP header."""
    return _open_in(f"/proc/{pid}/ns/net", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))


def open_capture(pid: int, interface: str = "") -> socket.socket:
    """Every frame that passes an interface (all of them, where none is named) of the network namespace of a process."""

    def open_bound() -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL))
        opened.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _CAPTURE_BYTES)
        if interface:
            opened.bind((interface, _EVERY_PROTOCOL))
        return opened

    return _open_in(f"/proc/{pid}/ns/net", open_bound)
