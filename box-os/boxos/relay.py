"""One connection of the guest's, carried to a port of loopback: QEMU starts this for each, and its network leads
nowhere else. Standard input and output are the guest's side."""

from __future__ import annotations

import os
import selectors
import socket
import sys
from collections.abc import Callable


def carry(port: int) -> None:
    """Until either side ends."""
    with socket.create_connection(("127.0.0.1", port)) as there, selectors.DefaultSelector() as both:
        ways: dict[int, tuple[Callable[[], bytes], Callable[[bytes], None]]] = {
            0: (lambda: os.read(0, 65536), there.sendall),
            there.fileno(): (lambda: there.recv(65536), _write),
        }
        for handle in ways:
            both.register(handle, selectors.EVENT_READ)
        while True:
            for key, _ in both.select():
                take, give = ways[key.fd]
                said = take()
                if not said:
                    return
                give(said)


def _write(said: bytes) -> None:
    while said:
        said = said[os.write(1, said) :]


if __name__ == "__main__":
    carry(int(sys.argv[1]))
