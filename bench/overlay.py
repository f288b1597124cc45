"""Two members of the overlay meet: how soon, by which way, and how much that way carries, behind routers of each kind.

Real Nebula with what RITI renders, in the laboratory of `ritilib.devstack.overlay`; no server and no container. The
floor is the same packets by plain UDP from the same place through the same routers to a host of the Internet.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ritilib.devstack.folders import find_cache
from ritilib.devstack.machine.setup import set_up
from ritilib.devstack.overlay.lab import (
    DIRECT,
    OverlayLab,
    Place,
    describe_way,
    hold_overlay_lab,
)
from ritilib.devstack.overlay.sockets import open_bound
from ritilib.devstack.processes import poll
from ritilib.errors import DevstackError

ROUNDS = 3
DEADLINE_S = 20.0
KNOWN_S = 2.0  # until lighthouses know who has just begun
SETTLED_PACKETS = 250  # five seconds, in which a direct way is looked for twice
WINDOW_S = 0.2
BLAST_S = 3.0
BLAST = b"\0" * 1200
IAX, FLOOR_PORT = 4569, 9000
BOXES = {
    "public": Place(),
    "public-too": Place(),
    "cone": Place((("cone", "cone"),)),
    "cone-too": Place((("cone-too", "cone"),)),
    "symmetric": Place((("symmetric", "symmetric"),)),
    "symmetric-too": Place((("symmetric-too", "symmetric"),)),
    "twin": Place((("shared", "symmetric"),)),
    "twin-too": Place((("shared", "symmetric"),)),
}
PBXES = {"cone": Place(), "symmetric": Place()}
ROWS = (
    ("box:public", "box:public-too"),
    ("box:cone", "pbx:cone"),
    ("pbx:symmetric", "box:symmetric"),
    ("box:cone", "box:cone-too"),
    ("box:twin", "box:twin-too"),
    ("box:cone", "box:symmetric"),
    ("box:symmetric", "box:symmetric-too"),
)


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each pair of places."""
    programs = set_up(find_cache(), report)
    with (
        tempfile.TemporaryDirectory(prefix="riti-bench.") as folder,
        hold_overlay_lab(programs.nebula, programs.nebula_cert, Path(folder), BOXES, PBXES) as lab,
    ):
        far = lab.internet.add_host("floor")
        return [_measure(lab, caller, callee, far.namespace, far.address, report) for caller, callee in ROWS]


def _measure(
    lab: OverlayLab, caller: str, callee: str, far: str, far_address: str, report: Callable[[str], None]
) -> dict[str, Any]:
    report(f"{caller} to {callee}: {ROUNDS} times")
    met = [_meet(lab, caller, callee) for _ in range(ROUNDS)]
    ways = {way for _, _, way, _ in met}
    here, there = lab.members[caller], lab.members[callee]
    carried = _blast(
        open_bound(here.pid, here.address, IAX),
        open_bound(there.pid, there.address, IAX),
        (there.address, IAX),
    )
    floor = _blast(
        open_bound(here.pid, here.host.address, 0),
        open_bound(far, far_address, FLOOR_PORT),
        (far_address, FLOOR_PORT),
    )
    directs = [direct_s for _, direct_s, way, _ in met if way == DIRECT]
    return {
        "bench": "overlay",
        "from": caller,
        "to": callee,
        "way": ", ".join(sorted(ways)),
        "first_s": round(statistics.median(first_s for first_s, *_ in met), 3),
        "worst_first_s": round(max(first_s for first_s, *_ in met), 3),
        "direct_s": round(statistics.median(directs), 1) if directs else "",
        "lost": sum(lost for *_, lost in met),
        "mbit_s": round(carried, 1),
        "floor_mbit_s": round(floor, 1),
        "ratio": round(carried / floor, 3),
    }


def _meet(lab: OverlayLab, caller: str, callee: str) -> tuple[float, float, str, int]:
    """Seconds to the first answer and to the first direct packet, the way in the end, what was lost after the first."""
    lab.restart(caller, callee)
    time.sleep(KNOWN_S)
    began_s = time.monotonic()
    stream = lab.stream(caller, callee)
    try:
        direct_s, way = 0.0, ""
        while stream.count_heard() < SETTLED_PACKETS or not way:
            with lab.watch(caller) as capture:
                time.sleep(WINDOW_S)
            way = describe_way(capture, lab.members[caller].host.address)
            if way == DIRECT and not direct_s:
                direct_s = time.monotonic() - began_s
            if time.monotonic() - began_s > DEADLINE_S:
                raise DevstackError.because(f"{caller} does not hear {callee}", "see bench/README.md")
    finally:
        unheard = stream.end()
    return stream.first_s, direct_s, way, len([one for one in unheard if one > min(stream.heard)])


def _blast(sender: socket.socket, receiver: socket.socket, target: tuple[str, int]) -> float:
    """Megabits of packets' content in a second that arrive, when as many are sent as one process can send."""
    processes = multiprocessing.get_context("fork")
    here, there = processes.Pipe()
    with sender, receiver:
        counter = processes.Process(target=_count, args=(receiver, there))
        counter.start()
        end_s = time.monotonic() + BLAST_S
        while time.monotonic() < end_s:
            for _ in range(50):
                try:
                    sender.sendto(BLAST, target)
                except BlockingIOError:
                    break
        if not poll(lambda: here.poll(0), DEADLINE_S):
            raise DevstackError.because(f"nothing arrives at {target[0]}", "see bench/README.md")
        counter.join()
        received, seconds = here.recv()
    return float(received * 8 / seconds / 1e6)


def _count(receiver: socket.socket, told: Connection) -> None:
    """Tell bytes, and seconds from the first to the last of them."""
    receiver.settimeout(1.0)
    received, first_s, last_s = 0, 0.0, 0.0
    while True:
        try:
            received += len(receiver.recv(2048))
        except TimeoutError:
            if received:
                break
            continue
        last_s = time.monotonic()
        first_s = first_s or last_s
    told.send((received, max(last_s - first_s, 1e-3)))
