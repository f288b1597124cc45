"""Sockets inside other network namespaces: whichever thread uses them then, they stay there."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_EVERY_PROTOCOL = 0x0003  # ETH_P_ALL
_RECEIVE_BUFFER_FORCE = 33  # SO_RCVBUFFORCE, which is root's
_CAPTURE_BYTES = 64 << 20


def run_inside(namespace: str, do: Callable[[], T]) -> T:
    """What `do` gives when it is done in the network namespace of this path (/run/netns/…, /proc/…/ns/net)."""

    def enter() -> T:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(namespace) as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return do()

    with ThreadPoolExecutor(1) as thread:  # a thread that ends: its namespace is nobody else's
        return thread.submit(enter).result()


def open_raw(pid: int, protocol: int) -> socket.socket:
    """A raw socket of the network namespace of a process; it sends what stands after the IP header."""
    return run_inside(_find(pid), lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))


def open_bound(where: int | str, address: str, port: int) -> socket.socket:
    """A UDP socket of a network namespace (open_capture), at an address of its own there; port 0: any."""

    def bind() -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((address, port))
        return opened

    return run_inside(_find(where), bind)


def open_capture(where: int | str, interface: str = "") -> socket.socket:
    """Every frame that passes an interface (all of them, where none is named) of a network namespace.

    where: a process in it, or the name that `ip netns` has for it.
    """

    def bind() -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL))
        opened.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _CAPTURE_BYTES)
        if interface:
            opened.bind((interface, _EVERY_PROTOCOL))
        return opened

    return run_inside(_find(where), bind)


def _find(where: int | str) -> str:
    return f"/proc/{where}/ns/net" if isinstance(where, int) else f"/run/netns/{where}"
