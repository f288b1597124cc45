"""Many boxes that enroll at once, and come back at once after an outage of everything, on real Consul and OpenBao.

Each box is the Joiner of `riti join`, and then the follower of its agent, without Asterisk; the controller's end is
the registry's step as the service runs it, by a leader's tokens. A hundred come through the real gateway; more ask
Consul and OpenBao themselves, as the gateway would, since a TLS client in Python for each would be what is measured.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.lab.bare import Bare, enroll_bare, for_each, make_applicant, open_bare
from bench.lab.box_servers import FLEET, FLEET_ID, BoxServers, hold_servers
from bench.lab.offices import name_box, write_claim
from bench.lab.outside import Crowds, Registrar
from ritilib.box.follow import BACK
from ritilib.clients.consul import Consul
from ritilib.clients.vault import Vault
from ritilib.clients.vault_pki import Pki
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.binding import Binding
from ritilib.reconcile.backoff import Backoff, Random
from ritilib.render.names import EnrollmentNames
from ritilib.sync.enroll.found import read_bindings

BOXES_PER_PROCESS = 2500
MOST_FLOOR = 300  # boxes of the floor: it is told per box
MOST_PROBLEMS = 5  # told in words
TRIED_AGAIN = ("lost", "busy")  # no answer, or to come later: a box does
MEMORY = Path("/dev/shm")  # each box has a disk of its own; a hundred that share one would wait for it


@dataclass(frozen=True)
class Size:
    """What one run is of. without_jitter: the same outage once more, by boxes that leave nothing to chance."""

    boxes: int
    has_gateway: bool
    outage_s: float
    without_jitter: bool

    @property
    def way(self) -> str:
        return "gateway" if self.has_gateway else "direct"


SIZES = (Size(100, True, 20.0, True), Size(1000, False, 20.0, True))


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Objects for each size: enrolling, and coming back."""
    return [row for size in SIZES for row in run_size(size, report)]


def run_size(size: Size, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One size; what is known is told as it comes, since what follows may take long."""
    with hold_crowd(size, report) as crowd:
        rows = [_measure_join(crowd, report)]
        report(f"{size.boxes} are in: {rows[0]}")
        rows.append(_measure_outage(crowd, 1.0, report))
        if size.without_jitter:
            report(f"and back: {rows[1]}")
            rows.append(_measure_outage(crowd, 0.0, report))
        said = crowd.registrar.finish()
    rows[0] |= {
        "controller_requests": said["requests"],
        "controller_mb": round(said["peak_mb"]),
        "controller_cpu_s": round(said["cpu_s"], 1),
        "nebula_cert_cpu_s": round(said["tools_cpu_s"], 1),
    }
    return rows


@dataclass(frozen=True)
class Crowd:
    """Boxes that may ask, and whom they ask. opened_s: how long it took until all might; floor_s: the bare minimum of
    one box."""

    size: Size
    servers: BoxServers
    consul: Consul
    registrar: Registrar
    boxes: Crowds
    opened_s: float
    floor_s: float

    def read_bindings(self) -> dict[str, Binding]:
        return _read_bindings(self.consul)


@contextmanager
def hold_crowd(size: Size, report: Callable[[str], None]) -> Iterator[Crowd]:
    """Servers, the controller's step, and boxes that wait for a word; all of it ends with the context."""
    with (
        hold_servers(report) as servers,
        tempfile.TemporaryDirectory(prefix="riti-bench.", dir=MEMORY) as folder,
    ):
        report(f"{size.boxes} boxes: writing their cards and documents")
        bare, consul = Bare(servers.record, servers.certificates), Consul(servers.management)
        claims = _write_cards(servers, bare, size.boxes, "c")
        floor_s = _measure_floor(servers, bare, min(size.boxes, MOST_FLOOR), report)
        with Registrar(servers, size.boxes) as registrar:
            report("opening: the controller lets each ask")
            start = time.perf_counter()
            prefix = EnrollmentNames(FLEET).bindings
            registrar.wait_until(lambda: len(consul.list_keys(prefix).keys) >= size.boxes)
            opened_s = time.perf_counter() - start
            if size.has_gateway:
                servers.start_gateway()
            with Crowds(_give(servers, size, claims, folder)) as boxes:
                yield Crowd(size, servers, consul, registrar, boxes, opened_s, floor_s)


def _write_cards(servers: BoxServers, bare: Bare, boxes: int, company: str) -> list[str]:
    """The claims of so many boxes, whose documents are in Vault, as a sync writes them for `start: on-merge`."""
    key, now_s = SigningKey(Vault(servers.management), EnrollmentNames(FLEET).claim_key), time.time()
    all_names = [name_box(number, company) for number in range(boxes)]
    document = {"options": {"cas": 0}, "data": {"secret": "of a box"}}
    for_each(lambda one: bare.vault("POST", one.box_vault_path, document), all_names)
    return [write_claim(key, names, number, now_s) for number, names in enumerate(all_names)]


def _measure_floor(servers: BoxServers, bare: Bare, boxes: int, report: Callable[[str], None]) -> float:
    """Seconds a box, of the bare minimum."""
    claims = _write_cards(servers, bare, boxes, "floor")
    ones = [make_applicant(name_box(number, "floor"), claim) for number, claim in enumerate(claims)]
    root = Pki(Vault(servers.management), EnrollmentNames(FLEET).pki_mount).read_root()
    report(f"floor: {boxes} boxes by bare requests")
    for_each(partial(open_bare, bare), ones)
    start = time.perf_counter()
    for_each(partial(enroll_bare, bare, root), ones)
    floor_s = (time.perf_counter() - start) / boxes
    fleet = EnrollmentNames(FLEET)
    for one in ones:  # the registry is not to meet them
        for key in (fleet.binding(one.names.key), fleet.used(one.names.key)):
            bare.consul("DELETE", f"kv/{key}")
    return floor_s


def _give(servers: BoxServers, size: Size, claims: Sequence[str], folder: str) -> list[dict[str, Any]]:
    made, record = servers.certificates, servers.record
    numbered = list(enumerate(claims))
    count = math.ceil(size.boxes / BOXES_PER_PROCESS)
    return [
        {
            "claims": numbered[one::count],
            "fleet_id": FLEET_ID,
            "gateway": servers.address,
            "ca": made.authority.read_text(),
            "folder": folder,
            "is_direct": not size.has_gateway,
            "behind": [
                record.consul_address,
                record.vault_gateway_address,
                str(made.authority),
                str(made.client),
            ],
        }
        for one in range(count)
    ]


def _read_bindings(consul: Consul) -> dict[str, Binding]:
    found = read_bindings(consul, FLEET)
    return {key: one for key, one in found.bindings.items() if not key.startswith("floor")}


def _measure_join(crowd: Crowd, report: Callable[[str], None]) -> dict[str, Any]:
    report("all join at once")
    boxes, registrar = crowd.size.boxes, crowd.registrar
    said = crowd.boxes.do("join")
    registrar.wait_until(lambda: not any(one.open for one in crowd.read_bindings().values()))
    crowd.servers.note_memory()
    bound = sum(one.state == "bound" and one.done for one in crowd.read_bindings().values())
    seconds = max(said["in_at"]) - said["began"]
    lost = boxes - bound + boxes - said["states"].get("in", 0)
    for words in registrar.problems[:MOST_PROBLEMS]:
        report(words)
    return {
        "bench": "enroll",
        "what": "join",
        "boxes": boxes,
        "by": crowd.size.way,
        "seconds": round(seconds, 2),
        "per_second": round(boxes / seconds, 2),
        "floor_per_second": round(1 / crowd.floor_s, 2),
        "ratio": round(seconds / boxes / crowd.floor_s, 2),
        "opened_s": round(crowd.opened_s, 2),
        "errors": lost + registrar.alarms + len(registrar.problems) + count_errors(said["results"]),
        "tried_again": sum(said["results"].get(name, 0) for name in TRIED_AGAIN),
        "box_requests": sum(said["results"].values()),
        "peak_per_s": find_peak(said["answered_at"]),
        **list_memory(crowd.servers),
    }


def _measure_outage(crowd: Crowd, jitter: float, report: Callable[[str], None]) -> dict[str, Any]:
    """Power and servers are gone; the power comes back at once everywhere, the servers after the outage."""
    size, servers, boxes = crowd.size, crowd.servers, crowd.boxes
    report(f"an outage of {size.outage_s:.0f} s, {'with' if jitter else 'without'} jitter")
    boxes.do("stop")
    servers.stop()
    boxes.do(f"follow {jitter}")
    gone = time.time()
    time.sleep(size.outage_s)
    servers.start()
    if size.has_gateway:
        servers.start_gateway()
    there = time.time()
    said = boxes.do(f"back {there}")
    servers.note_memory()
    told_s = _tell_all(crowd)
    replayed = replay_return(size.boxes, there - gone, random.random if jitter else lambda: 0.0)
    return {
        "bench": "enroll",
        "what": "return" if jitter else "return, no jitter",
        "boxes": size.boxes,
        "by": size.way,
        "outage_s": round(there - gone, 1),
        "seconds": round(max(said["back_at"]) - there, 2),
        "peak_per_s": find_peak(said["answered_at"]),
        "peak_boxes_per_s": find_peak(said["back_at"]),
        "computed_boxes_per_s": find_peak(replayed),
        "errors": count_errors(said["results"]),
        "tried_again": sum(said["results"].get(name, 0) for name in TRIED_AGAIN),
        "box_requests": sum(said["results"].values()),
        "told_s": round(told_s, 2),
        **list_memory(servers),
    }


def _tell_all(crowd: Crowd) -> float:
    """Change the one key that all follow: seconds until the last of them knows. So nobody is back only seemingly."""
    value = json.dumps([random.randbytes(8).hex()])
    held = crowd.consul.read(EnrollmentNames(FLEET).blocked)
    assert held  # prepare wrote it
    wrote = time.time()
    crowd.consul.write(held.key, value.encode(), held.modify_index)
    return float(crowd.boxes.do(f"told {value}")["told_at"]) - wrote


def count_errors(results: dict[str, int]) -> int:
    """Requests that were answered by a no."""
    return sum(results.get(name, 0) for name in ("denied", "error"))


def list_memory(servers: BoxServers) -> dict[str, int]:
    return {f"{name}_mb": round(peak) for name, peak in sorted(servers.peak_mb.items())}


def find_peak(times: Iterable[float]) -> int:
    """The most of these in one second of the clock; 0 where there are none."""
    counted = Counter(math.floor(one) for one in times)
    return max(counted.values(), default=0)


def replay_return(boxes: int, outage_s: float, chance: Random, backoff: Backoff = BACK) -> list[float]:
    """When each of so many boxes asks for the first time after an outage that began for all at 0; seconds."""
    return [_replay(outage_s, chance, backoff) for _ in range(boxes)]


def _replay(outage_s: float, chance: Random, backoff: Backoff) -> float:
    at, failures = 0.0, 0
    while at < outage_s:
        failures += 1
        at += backoff.delay(failures, chance)
    return at
