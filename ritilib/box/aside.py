"""Becomes another program in a network of its own: loopback alone, with the addresses that are named.

    python -m ritilib.box.aside 100.80.0.2 -- /usr/sbin/asterisk …

A program of its own, since a thread of the agent cannot leave its network without the others. Ends with REFUSED where
the kernel, or the container that it runs in, grants no namespace; no program has been started then.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Sequence

REFUSED = 77
SHARED = "--shared"  # in place of addresses: in the network of whoever started it
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # linux/sched.h
_SET_FLAGS, _SET_ADDRESS = 0x8914, 0x8916  # linux/sockios.h
_UP_AND_RUNNING = 0x41  # linux/if.h
_PARENT_DIED = 1  # linux/prctl.h, PR_SET_PDEATHSIG
_SIGKILL = 9


def main(arguments: Sequence[str]) -> None:
    place = arguments.index("--")
    wanted, program = arguments[:place], list(arguments[place + 1 :])
    libc = ctypes.CDLL(None, use_errno=True)
    # an agent that is killed leaves no second Asterisk behind
    libc.prctl(_PARENT_DIED, _SIGKILL, 0, 0, 0)
    if SHARED not in wanted:
        kinds = _NEW_NET if os.geteuid() == 0 else _NEW_USER | _NEW_NET
        if libc.unshare(kinds) != 0:
            print(f"no network of its own: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
            sys.exit(REFUSED)
        try:
            raise_loopback(wanted)
        except OSError as error:
            print(f"no loopback in a network of its own: {error.strerror}", file=sys.stderr)
            sys.exit(REFUSED)
    os.execv(program[0], program)


def raise_loopback(addresses: Sequence[str]) -> None:
    """Loopback up, with 127.0.0.1 and these IPv4 addresses; OSError where that is not granted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
        for number, address in enumerate(addresses):
            said = struct.pack(
                "16sHH4s8x", f"lo:{number}".encode(), socket.AF_INET, 0, socket.inet_aton(address)
            )
            fcntl.ioctl(asking, _SET_ADDRESS, said)


if __name__ == "__main__":
    main(sys.argv[1:])
