"""The first sync of a fleet, beside the bare registration of the same jobs.

The node takes no work, so what is timed is the controller and the servers, not containers. A unit's secrets, policies,
value, job and inventory are written one after another (rule 11 of DESIGN.md); the floor writes the job alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench.lab.servers import (
    count_requests,
    hold_lab,
    lead_servers,
    merge_fleet,
    open_session,
    post_job,
    refuse_work,
)
from bench.register import rename_job
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.errors import RitiError
from ritilib.gitops.desired import Desired
from ritilib.sync.once import sync_once
from ritilib.sync.planned import list_wishes

BOXES = 30


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object; units are the boxes and the lighthouse."""
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, BOXES)
        report(f"syncing {BOXES} boxes for the first time")
        with lead_servers(lab, desired.fleet) as servers, count_requests() as count:
            start = time.perf_counter()
            done = sync_once(desired, servers, (), lambda _: None, wait=False)
            seconds = time.perf_counter() - start
        if not done.is_clean:
            raise RitiError((*done.problems, *done.held))
        report("registering the same jobs bare")
        floor_s = _register_bare(desired, read_settings(lab.management))
    units = len(done.changed)
    return [
        {
            "bench": "sync-apply",
            "boxes": BOXES,
            "seconds": round(seconds, 3),
            "seconds_per_unit": round(seconds / units, 4),
            "floor_seconds": round(floor_s, 3),
            "ratio": round(seconds / floor_s, 2),
            "requests": count.requests,
            "requests_per_unit": round(count.requests / units, 1),
        }
    ]


def _register_bare(desired: Desired, settings: Settings) -> float:
    """Seconds to post every unit's job, parsed beforehand, under another id."""
    nomad = Nomad(settings)
    jobs = [nomad.parse(wish.job) for wish in list_wishes(desired)]
    bare = [rename_job(job, f"bare-{job['ID']}") for job in jobs]
    with open_session(settings.nomad) as session:
        start = time.perf_counter()
        for job in bare:
            post_job(session, settings.nomad, job)
        return time.perf_counter() - start
