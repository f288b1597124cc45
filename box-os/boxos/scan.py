"""What answers at an address: every TCP port, and the UDP ports at which something usually listens.

Run as a program with the address, where the neighbour stands; it prints one JSON object. The standard library alone.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import socket
import sys
from collections.abc import Iterable
from typing import Any

# More than twice as long as the kernel waits before it asks once more: a packet that was lost on the way is no silence.
_TCP_S, _UDP_S = 2.5, 3.0
# A neighbour that is not there is told of after three seconds of asking for it: later than a port is given up.
_THERE_S, _THERE_PORT = 10.0, 9
_AT_ONCE = 2000
_FILES = 4096
EVERY_PORT = range(1, 65536)
# DNS, DHCP, TFTP, portmap, NTP, NetBIOS, SNMP, chrony, IKE, syslog, VPNs, RADIUS, SSDP, STUN, mDNS, IAX2, SIP, LLMNR …
UDP_PORTS = (
    *(
        53,
        67,
        68,
        69,
        111,
        123,
        137,
        138,
        161,
        162,
        323,
        500,
        514,
        520,
        546,
        547,
        1194,
        1701,
        1812,
        1900,
        2049,
    ),
    *(3478, 3702, 4242, 4500, 4569, 5060, 5061, 5353, 5355, 5683, 8301, 8600, 10000, 10500, 20000, 51820),
)
_PROBE = b"OPTIONS sip:box SIP/2.0\r\n\r\n"


async def scan(
    address: str, tcp: Iterable[int] = EVERY_PORT, udp: Iterable[int] = UDP_PORTS
) -> dict[str, Any]:
    """Ports by what came of them: open, refused (nothing listens, and the box says so), answered; silent ones are left
    out. OSError where nobody has the address, before or after: silence would say nothing then."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(kind: socket.SocketKind, port: int) -> tuple[int, str]:
        async with gate:
            return port, await (_connect if kind == socket.SOCK_STREAM else _send)(address, port)

    await _connect(address, _THERE_PORT, _THERE_S)
    asked = [ask(socket.SOCK_STREAM, port) for port in tcp]
    asked_udp = [ask(socket.SOCK_DGRAM, port) for port in udp]
    found = {"tcp": await asyncio.gather(*asked), "udp": await asyncio.gather(*asked_udp)}
    await _connect(address, _THERE_PORT, _THERE_S)
    return {
        "address": address,
        **{kind: {str(port): what for port, what in said if what} for kind, said in found.items()},
    }


def find_answers(said: dict[str, Any]) -> list[str]:
    """What answered where nothing must, in words."""
    return [
        f"{said['address']} {kind} {port}: {what}"
        for kind in ("tcp", "udp")
        for port, what in sorted(said[kind].items(), key=lambda one: int(one[0]))
    ]


async def _connect(address: str, port: int, timeout_s: float = _TCP_S) -> str:
    with _open(address, socket.SOCK_STREAM) as opened:
        try:
            target = _resolve(address, port, socket.SOCK_STREAM)
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(opened, target), timeout_s)
            return "open"
        except TimeoutError:
            return ""
        except OSError as error:
            return _explain(error)


async def _send(address: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    with _open(address, socket.SOCK_DGRAM) as opened:
        try:
            # connected, so that an ICMP "port unreachable" comes back as an error
            opened.connect(_resolve(address, port, socket.SOCK_DGRAM))
            for _ in range(2):
                await loop.sock_sendall(opened, _PROBE)
            await asyncio.wait_for(loop.sock_recv(opened, 2048), _UDP_S)
            return "answered"
        except TimeoutError:
            return ""
        except OSError as error:
            return _explain(error)


def _explain(error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return "refused"
    if error.errno == errno.ETIMEDOUT:
        return ""
    raise error


def _open(address: str, kind: socket.SocketKind) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    opened.setblocking(False)
    return opened


def _resolve(address: str, port: int, kind: socket.SocketKind) -> Any:
    return socket.getaddrinfo(address, port, type=kind, flags=socket.AI_NUMERICHOST)[0][4]


def main() -> None:
    """0: scanned; 1: it cannot be reached."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most), most))
    try:
        print(json.dumps(asyncio.run(scan(sys.argv[1]))))
    except OSError as error:
        # asyncio puts words of its own in the place of the kernel's
        print(f"{sys.argv[1]}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
