"""A sync that finds nothing to do, beside the bare list of the same jobs in the same run.

The jobs are really in Nomad, their secrets in Vault, their values in Consul; the node takes no work, so nothing runs.
`seconds` is the cycle as the controller will repeat it on one commit; `with_git_s` also reads the commit anew.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import requests

from bench.lab.servers import (
    BRANCH,
    count_requests,
    hold_lab,
    lead_servers,
    merge_fleet,
    open_session,
    refuse_work,
)
from ritilib.clients.settings import read_settings
from ritilib.devstack.demo.lab import Lab
from ritilib.errors import RitiError
from ritilib.gitops.desired import Desired, read_desired
from ritilib.sync.observe import Places
from ritilib.sync.once import sync_once
from ritilib.sync.unit.apply import Servers

SIZES = (10, 300)
ROUNDS = 5
FLOOR_ROUNDS = 15


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each size of fleet; seconds are medians."""
    return [_run_size(boxes, report) for boxes in SIZES]


def _run_size(boxes: int, report: Callable[[str], None]) -> dict[str, Any]:
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, boxes)
        with lead_servers(lab, desired.fleet) as servers:
            report(f"syncing {boxes} boxes for the first time")
            first = sync_once(desired, servers, (), _say_nothing, wait=False)
            if first.problems or first.held:
                raise RitiError((*first.problems, *first.held))
            return _measure(lab, boxes, desired, servers, report)


def _measure(
    lab: Lab, boxes: int, desired: Desired, servers: Servers, report: Callable[[str], None]
) -> dict[str, Any]:
    with count_requests() as count:
        _sync_nothing(desired, servers)
    report(f"syncing nothing {ROUNDS} times")
    ours: list[float] = []
    whole: list[float] = []
    bare: list[float] = []
    server, prefix = read_settings(lab.tokens).nomad, Places(desired.fleet).jobs
    with open_session(server) as session:
        asked = {"prefix": prefix, "meta": "true"}
        list_bare = partial(session.get, f"{server.address}/v1/jobs", params=asked)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            again = read_desired(lab.forge, BRANCH)
            read = time.perf_counter()
            _sync_nothing(again, servers)
            done = time.perf_counter()
            whole.append(done - start)
            ours.append(done - read)
            bare += [_time_list(list_bare) for _ in range(FLOOR_ROUNDS // ROUNDS)]
    seconds, floor_s = statistics.median(ours), statistics.median(bare)
    return {
        "bench": "sync-noop",
        "boxes": boxes,
        "seconds": round(seconds, 4),
        "with_git_s": round(statistics.median(whole), 4),
        "floor_seconds": round(floor_s, 4),
        "ratio": round(seconds / floor_s, 2),
        "requests": count.requests,
    }


def _sync_nothing(desired: Desired, servers: Servers) -> None:
    done = sync_once(desired, servers, (), _say_nothing, wait=False)
    if done.changed or not done.is_clean:
        what = f"the second sync changed {len(done.changed)} units"
        raise RitiError.because(what, "see why with `riti plan`; a figure of it would not be a no-op's")


def _time_list(ask: Callable[[], requests.Response]) -> float:
    start = time.perf_counter()
    answer = ask()
    answer.raise_for_status()
    answer.json()
    return time.perf_counter() - start


def _say_nothing(_: str) -> None:
    return None
