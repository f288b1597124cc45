"""A sync that finds nothing to do, beside the three reads that no such sync can do without, in turns with it.

The jobs are really in Nomad, the values and the inventory in Consul (bench/lab/seeded.py); the node takes no work, so
nothing runs. `seconds` is the cycle as the controller repeats it on one commit; `with_git_s` also looks at the commit
anew, as after a fetch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import requests

from bench.lab.controller import hold_controller
from bench.lab.seeded import seed_fleet
from bench.lab.servers import (
    BRANCH,
    count_requests,
    hold_lab,
    lead_servers,
    merge_fleet,
    open_session,
    refuse_work,
)
from ritilib.clients.settings import Settings, read_settings
from ritilib.devstack.demo.lab import Lab
from ritilib.errors import RitiError
from ritilib.gitops.desired import Desired, Reader
from ritilib.sync.observe import Places
from ritilib.sync.once import sync_once
from ritilib.sync.unit.apply import Servers

SIZES = (10, 1_000, 10_000)
ROUNDS = 7


def run(report: Callable[[str], None], sizes: Sequence[int] = SIZES) -> Iterator[dict[str, Any]]:
    """One object for each size of fleet; seconds are medians."""
    return (_run_size(boxes, report) for boxes in sizes)


def _run_size(boxes: int, report: Callable[[str], None]) -> dict[str, Any]:
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, boxes)
        seed_fleet(desired, read_settings(lab.management), report)
        with lead_servers(lab, desired.fleet) as servers:
            _sync_nothing(desired, servers)  # it notes from which index on nothing has moved
            figures = _measure(lab, boxes, servers, report)
        del desired
        return figures | {"rss_mb": _measure_memory(lab, report)}


def _measure(lab: Lab, boxes: int, servers: Servers, report: Callable[[str], None]) -> dict[str, Any]:
    reader = Reader()
    start = time.perf_counter()
    desired = reader.read(lab.forge, BRANCH)
    first_s = time.perf_counter() - start
    with count_requests() as count:
        _sync_nothing(desired, servers)
    report(f"syncing nothing {ROUNDS} times")
    ours: list[float] = []
    whole: list[float] = []
    bare: list[float] = []
    packed: list[float] = []
    settings, places = read_settings(lab.tokens), Places(desired.fleet)
    with open_session(settings.nomad) as nomad, open_session(settings.consul) as consul:
        for _ in range(ROUNDS):
            for times, packing in ((packed, "gzip"), (bare, "identity")):
                times.append(_time(partial(_read_bare, nomad, consul, settings, places, packing)))
            start = time.perf_counter()
            again = reader.read(lab.forge, BRANCH)
            read = time.perf_counter()
            _sync_nothing(again, servers)
            done = time.perf_counter()
            whole.append(done - start)
            ours.append(done - read)
    seconds, floor_s, packed_s = (statistics.median(times) for times in (ours, bare, packed))
    return {
        "bench": "sync-noop",
        "boxes": boxes,
        "seconds": round(seconds, 4),
        "floor_seconds": round(floor_s, 4),
        "ratio": round(seconds / floor_s, 2),
        "packed_floor_seconds": round(packed_s, 4),
        "packed_ratio": round(seconds / packed_s, 2),
        "requests": count.requests,
        "with_git_s": round(statistics.median(whole), 4),
        "first_git_s": round(first_s, 3),
    }


def _read_bare(
    nomad: requests.Session, consul: requests.Session, settings: Settings, places: Places, packing: str
) -> None:
    """One job list, one read of the inventory, one of the keys, each taken apart as JSON; nothing is made of it."""
    keys = f"{settings.consul.address}/v1/kv"
    for session, url, asked in (
        (nomad, f"{settings.nomad.address}/v1/jobs", {"prefix": places.jobs, "meta": "true"}),
        (consul, f"{keys}/{places.inventory}", {"recurse": ""}),
        (consul, f"{keys}/{places.live}", {"keys": ""}),
    ):
        answer = session.get(url, params=asked, headers={"Accept-Encoding": packing})
        answer.raise_for_status()
        answer.json()


def _measure_memory(lab: Lab, report: Callable[[str], None]) -> float:
    """The most that `riti sync`, a process, ever had: it clones, reads, leads, plans, and finds nothing to do."""
    report("the same by `riti sync`, for its memory")
    with hold_controller(lab) as controller:
        controller.wait_for("cycle", whole=True)
        return round(controller.read_peak_mb(), 1)


def _sync_nothing(desired: Desired, servers: Servers) -> None:
    done = sync_once(desired, servers, (), _say_nothing, wait=False)
    if done.changed:
        what = f"the second sync changed {len(done.changed)} units"
        raise RitiError.because(what, "see why with `riti plan`; a figure of it would not be a no-op's")


def _time(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _say_nothing(_: str) -> None:
    return None
