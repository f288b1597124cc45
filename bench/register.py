"""One PBX job registered, planned and parsed by the Nomad client, beside the same body in a bare session.

The node takes no work, so what is timed is Nomad's answer, not a container's start. Each registration is a new job.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.lab.servers import hold_lab, merge_fleet, open_session, post_job, refuse_work
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Server, read_settings

ROUNDS = 100


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object: seconds are medians; a bare registration follows each of the client's."""
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, 1)
        text = next(unit.files["pbx/job.nomad.hcl"] for unit in desired.units if unit.kind == "pbx")
        settings = read_settings(lab.management)
        return [_measure(Nomad(settings), settings.nomad, text, report)]


def _measure(nomad: Nomad, server: Server, text: str, report: Callable[[str], None]) -> dict[str, Any]:
    job = nomad.parse(text)
    report(f"registering {ROUNDS} jobs twice")
    ours: list[float] = []
    bare: list[float] = []
    with open_session(server) as session:
        for number in range(ROUNDS):
            one = rename_job(job, f"ours-{number}")
            ours.append(_time(partial(nomad.register, one, 0)))
            other = rename_job(job, f"bare-{number}")
            bare.append(_time(partial(post_job, session, server, other)))
    report(f"parsing and planning {ROUNDS} times")
    planned = rename_job(job, "ours-0")
    seconds, floor_s = statistics.median(ours), statistics.median(bare)
    return {
        "bench": "register",
        "seconds": round(seconds, 5),
        "p95_seconds": round(find_p95(ours), 5),
        "floor_seconds": round(floor_s, 5),
        "floor_p95_seconds": round(find_p95(bare), 5),
        "ratio": round(seconds / floor_s, 2),
        "parse_s": round(statistics.median(_time(partial(nomad.parse, text)) for _ in range(ROUNDS)), 5),
        "plan_s": round(statistics.median(_time(partial(nomad.plan, planned)) for _ in range(ROUNDS)), 5),
    }


def rename_job(job: dict[str, Any], name: str) -> dict[str, Any]:
    """The same job under another id."""
    return copy.deepcopy(job) | {"ID": name, "Name": name}


def find_p95(seconds: list[float]) -> float:
    """The 95th percentile of at least two measurements."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def _time(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
