"""Who reaches whom in the overlay: packets from members to ports of others, and what of them arrives."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack.overlay.probe import (
    ECHO,
    UDP,
    Capture,
    carries_data,
    hold_capture,
    write_checked,
)
from ritilib.devstack.overlay.sockets import open_raw
from ritilib.devstack.processes import poll

DEADLINE_S = 30.0
TCP, ICMP = 6, 1
SOURCE_PORT = 40123
BATCH = 128  # ports, by UDP and TCP: the interface's queue has 500
AGAIN_S = 0.3
LOOK_S = 0.001
IAX = 4569
# What arrives at a colleague, of all that is sent to him.
ADMITTED = {(ICMP, 0), (UDP, IAX)}
ALL_PORTS = range(65536)
# Those that something of the product listens at somewhere, what a scanner tries first, and some of voice's.
KNOWN_PORTS = sorted(
    {
        0,
        7,
        21,
        22,
        23,
        25,
        53,
        67,
        69,
        80,
        111,
        123,
        161,
        443,
        445,
        514,
        1900,
        2375,
        3306,
        4242,
        4243,
        4568,
        4569,
    }
    | {
        4570,
        4646,
        4647,
        4648,
        5000,
        5038,
        5060,
        5061,
        5353,
        5432,
        6379,
        8080,
        8088,
        8089,
        8200,
        8300,
        8301,
        8443,
    }
    | {8500, 8501, 8502, 8600, 9090, 9093, 10050, 10051, 11211, 20000, 32768, 65535}
    | set(range(10000, 20000, 997))
)
_OUTBOUND = re.compile(r"^(  outbound:\n)(?:    .*\n)+", re.MULTILINE)
# No other packet is as long, so those that leave can be counted from outside: 20 of IP and 8 of ICMP go before.
_FILLING = b"riti" * 83
_INNER = 20 + 8 + 4 + len(_FILLING)
# header and checksum of Nebula's; by a relay a second of each
_OUTER = {_INNER + 32, _INNER + 64}


@dataclass(frozen=True)
class End:
    """A member of the overlay: "acme/salto box", in which company, its overlay's process, address and configuration."""

    name: str
    company: str
    pid: int
    address: str
    overlay: Path

    def reload(self, text: str) -> None:
        """Have its overlay take up another configuration."""
        self.overlay.write_text(text)
        os.kill(self.pid, signal.SIGHUP)


@contextmanager
def hold_opened(ends: Iterable[End]) -> Iterator[None]:
    """These members send whatever they like to everybody, as those do whose machine somebody else has."""
    rendered = {end: end.overlay.read_text() for end in ends}
    try:
        for end, text in rendered.items():
            opened = _OUTBOUND.sub(r"\1    - {port: any, proto: any, host: any}\n", text)
            assert opened != text
            end.reload(opened)
        yield
    finally:
        for end, text in rendered.items():
            end.reload(text)


def find_arrivals(
    pairs: Sequence[tuple[End, End]], ports: Sequence[int]
) -> dict[tuple[str, str], set[tuple[int, int]]]:
    """(from, to) → (protocol, port) of what arrived, of an echo and a packet by UDP and TCP to each port.

    That each has really left for the other, by a tunnel that is up, is seen to before and after.
    """
    with ExitStack() as held:
        arrived = {
            end.address: held.enter_context(hold_capture(end.pid, "riti"))
            for end in {target.address: target for _, target in pairs}.values()
        }
        for number, (source, target) in enumerate(pairs):
            _send(source, target, number, ports)
    return {
        (source.name, target.name): _find_arrived(arrived[target.address], source, target, number)
        for number, (source, target) in enumerate(pairs)
    }


def _find_arrived(capture: Capture, source: End, target: End, number: int) -> set[tuple[int, int]]:
    """What came of the pair's packets; of a stranger's each one counts, whatever it is."""
    return {
        (packet.protocol, packet.target_port)
        for packet in capture.packets
        if packet.source == source.address
        and (
            source.company != target.company
            or packet.source_port == SOURCE_PORT
            or packet.payload == _write_body(number)
        )
    }


def _send(source: End, target: End, number: int, ports: Sequence[int]) -> None:
    with (
        open_raw(source.pid, socket.IPPROTO_UDP) as udp,
        open_raw(source.pid, socket.IPPROTO_TCP) as tcp,
        open_raw(source.pid, socket.IPPROTO_ICMP) as icmp,
        hold_capture(source.pid, "eth0") as leaving,
    ):
        echo = write_checked(ECHO, number, _write_body(number))
        seen = 0

        def has_left() -> bool:
            nonlocal seen
            new = leaving.packets[seen:]
            seen += len(new)
            return any(carries_data(packet) and len(packet.payload) in _OUTER for packet in new)

        def leaves() -> bool:
            icmp.sendto(echo, (target.address, 0))
            end_s = time.monotonic() + AGAIN_S
            while time.monotonic() < end_s:
                if has_left():
                    return True
                time.sleep(LOOK_S)
            return False

        assert poll(leaves, DEADLINE_S), f"nothing leaves {source.name} for {target.name}"
        for first in range(0, len(ports), BATCH):
            for port in ports[first : first + BATCH]:
                udp.sendto(struct.pack("!HHHH", SOURCE_PORT, port, 12, 0) + b"riti", (target.address, 0))
                syn = struct.pack("!HHIIBBHHH", SOURCE_PORT, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
                tcp.sendto(syn, (target.address, 0))
            # at a pace at which the own overlay takes them all: what was sent before has left when this one leaves
            assert poll(leaves, DEADLINE_S), f"nothing leaves {source.name} for {target.name} any more"


def _write_body(number: int) -> bytes:
    return struct.pack("!I", number) + _FILLING


def list_pairs(sources: Iterable[End], targets: Iterable[End]) -> list[tuple[End, End]]:
    """Each with each, and none with itself."""
    everybody = list(targets)
    return [(source, target) for source in sources for target in everybody if source != target]
