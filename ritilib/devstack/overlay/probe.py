"""Packets of the overlay: a stream that counts what is lost, and what arrives or passes at an interface."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ritilib.devstack.overlay.sockets import open_capture, open_raw

ECHO, ECHO_REPLY = 8, 0
NEBULA_VERSION = 1
MESSAGE, TYPES = 1, 7  # header/header.go
INTERVAL_S = 0.02  # as voice has it
LAST_ANSWER_S = 1.0
TCP, UDP = 6, 17


@dataclass
class Stream:
    """Echo requests from within a process's network to an address, as densely as voice; lost is told at the end.

    first_s: seconds from the first request to the first answer, which is the answer to a later one where a tunnel had
    to be made; 0 as long as there is none.
    """

    pid: int
    address: str
    sent: int = 0
    heard: set[int] = field(default_factory=set)
    first_s: float = 0.0

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._socket = open_raw(self.pid, socket.IPPROTO_ICMP)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def count_heard(self) -> int:
        return len(self.heard)

    def is_heard(self) -> bool:
        return bool(self.heard)

    def stop(self) -> None:
        """Send no more; `end` waits for the last answers."""
        self._stopped.set()

    def end(self) -> list[int]:
        """The numbers of those that nobody answered."""
        self.stop()
        self._thread.join()
        self._socket.close()
        return [number for number in range(self.sent) if number not in self.heard]

    def _run(self) -> None:
        identity = threading.get_ident() & 0xFFFF
        self._began = time.monotonic()
        self._socket.settimeout(INTERVAL_S)
        due = time.monotonic()
        while not self._stopped.is_set():
            self._socket.sendto(write_echo(identity, self.sent), (self.address, 0))
            self.sent += 1
            due += INTERVAL_S
            self._listen(identity, due)
        self._listen(identity, time.monotonic() + LAST_ANSWER_S)

    def _listen(self, identity: int, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                packet = self._socket.recv(2048)
            except TimeoutError:
                return
            kind, _, _, of, _ = struct.unpack("!BBHHH", packet[20:28])
            if kind == ECHO_REPLY and of == identity:
                self.first_s = self.first_s or time.monotonic() - self._began
                self.heard.add(struct.unpack("!I", packet[28:32])[0])


def write_echo(identity: int, number: int) -> bytes:
    return write_checked(ECHO, identity, struct.pack("!I", number) + b"voice" * 30, number & 0xFFFF)


def write_checked(kind: int, identity: int, body: bytes, number: int = 0) -> bytes:
    """A message of ICMP; body has an even length."""
    head = struct.pack("!BBHHH", kind, 0, 0, identity, number)
    return struct.pack("!BBHHH", kind, 0, _sum(head + body), identity, number) + body


def _sum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


@dataclass(frozen=True)
class Packet:
    """One IPv4 packet; ports are 0 where it has none."""

    source: str
    target: str
    protocol: int
    source_port: int
    target_port: int
    payload: bytes


@dataclass
class Capture:
    """What passed while it was held."""

    packets: list[Packet] = field(default_factory=list)


@contextmanager
def hold_capture(where: int | str, interface: str = "") -> Iterator[Capture]:
    """Every IPv4 packet of an interface (or of all) of a network; all of them when the context has ended.

    where: a process in it, or its name (open_capture).
    """
    made, stopped = Capture(), threading.Event()
    with open_capture(where, interface) as opened, selectors.DefaultSelector() as selector:
        selector.register(opened, selectors.EVENT_READ)

        def follow() -> None:
            while selector.select(INTERVAL_S) or not stopped.is_set():
                while True:
                    try:
                        frame = opened.recv(65535, socket.MSG_DONTWAIT)
                    except BlockingIOError:
                        break
                    if packet := read_packet(frame):
                        made.packets.append(packet)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield made
        finally:
            stopped.set()
            thread.join()


def read_packet(frame: bytes) -> Packet | None:
    """None for what is no whole IPv4 packet."""
    if len(frame) < 28 or frame[0] >> 4 != 4:
        return None
    header = (frame[0] & 15) * 4
    source, target = socket.inet_ntoa(frame[12:16]), socket.inet_ntoa(frame[16:20])
    source_port, target_port = (
        struct.unpack("!HH", frame[header : header + 4]) if frame[9] in (TCP, UDP) else (0, 0)
    )
    return Packet(source, target, frame[9], source_port, target_port, frame[header + 8 :])


def is_nebula(packet: Packet) -> bool:
    """By the header of each of its packets (header/header.go): version and one of seven types; RTP begins with 0x80.

    A punch, by which it opens the way through a router, is one byte: 0 or 1 (lighthouse.go, connection_manager.go).
    """
    return packet.payload in (b"\0", b"\1") or (
        bool(packet.payload) and packet.payload[0] >> 4 == NEBULA_VERSION and packet.payload[0] & 15 < TYPES
    )


def carries_data(packet: Packet) -> bool:
    """Whether it is one of Nebula's that has a member's packet within: no handshake, no question, no test."""
    return is_nebula(packet) and packet.payload[0] == NEBULA_VERSION << 4 | MESSAGE
