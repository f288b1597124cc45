"""What a change costs: one PBX of fleets of any size, 1,000 PBXes at once, and the first sync of a whole fleet.

The node takes no work, so what is timed is the controller and the servers, not containers. Each unit is written part
by part, its intent first (rule 11 of DESIGN.md); the floor posts the same jobs, parsed beforehand, over as many
connections, and does nothing else. Of MANY the steps beside it are what the servers take for what no sync can leave
out: to have each job parsed and posted (parsed_seconds), and planned too, with an entry in Consul before and after
(steps_seconds); these are sent bare, over as many connections.
"""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from bench.lab.fleets import LONE, move_lone_route
from bench.lab.seeded import act_side_by_side, seed_fleet
from bench.lab.servers import (
    BRANCH,
    count_requests,
    hold_lab,
    lead_crew,
    merge_fleet,
    post_job,
    refuse_work,
)
from bench.register import rename_job
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.devstack.demo.deploy import merge_change
from ritilib.errors import RitiError
from ritilib.gitops.desired import Desired, Reader
from ritilib.sync.once import sync_once
from ritilib.sync.planned import list_wishes
from ritilib.sync.service import CREW
from ritilib.sync.synced import Synced
from ritilib.sync.unit.apply import Servers

FIRST_BOXES = 30
SIZES = (10, 100, 1_000, 10_000)
MANY = 1_000
ROUNDS = 3
OTHER_IMAGE = "riti/pbx:other"  # the node takes no work: no image is asked for


def run(report: Callable[[str], None], sizes: Sequence[int] = ()) -> Iterator[dict[str, Any]]:
    """An object for each size of fleet (changed: 1); without sizes also one for MANY changed, and a first sync."""
    for boxes in sizes or SIZES:
        yield measure_one(boxes, report)
    if not sizes:
        yield _run_many(report)
        yield _run_first(report)


def measure_one(boxes: int, report: Callable[[str], None]) -> dict[str, Any]:
    """One PBX's route leads elsewhere, in a fleet of so many boxes beside it."""
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, boxes, lone=True)
        settings = read_settings(lab.management)
        seed_fleet(desired, settings, report)
        with lead_crew(lab, desired.fleet, 1) as crew:
            _sync(desired, crew)
            reader = Reader()
            reader.read(lab.forge, BRANCH)
            seconds, requests = [], []
            for _ in range(ROUNDS):
                move_lone_route(lab.work / "fleet")
                merge_change(lab, "the lone office's route leads elsewhere")
                with count_requests() as count:
                    start = time.perf_counter()
                    desired = reader.read(lab.forge, BRANCH)
                    done = _sync(desired, crew)
                    seconds.append(time.perf_counter() - start)
                if done.changed != (f"{LONE}/b0",):
                    raise RitiError.because(f"{done.changed} were changed", "see what the change renders to")
                requests.append(count.requests)
        floor_s = _register_bare([w.job for w in list_wishes(desired) if w.names.company == LONE], settings)
        return _describe(boxes, 1, statistics.median(seconds), floor_s, max(requests))


def _run_many(report: Callable[[str], None]) -> dict[str, Any]:
    """Every PBX of MANY gets another image: each job is registered anew, by a crew."""
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, MANY)
        settings = read_settings(lab.management)
        seed_fleet(desired, settings, report)
        with lead_crew(lab, desired.fleet, CREW) as crew:
            _sync(desired, crew)
            place = lab.work / "fleet" / "fleet.yaml"
            place.write_text(place.read_text().replace("riti/pbx:dev", OTHER_IMAGE))
            merge_change(lab, "another image")
            desired = Reader().read(lab.forge, BRANCH)
            report(f"registering {MANY} changed boxes over {CREW} connections")
            seconds, requests, done = _time_sync(desired, crew)
        jobs = [wish.job for wish in list_wishes(desired) if not wish.names.is_lighthouse]
        report("registering the same jobs bare")
        figures = _describe(MANY, len(done.changed), seconds, _register_bare(jobs, settings), requests)
        report("and with each step that a sync takes, bare")
        parsed_s = _time_steps(Steps(settings, "parsed"), jobs)
        steps_s = _time_steps(Steps(settings, "steps", is_whole=True), jobs)
        return figures | {
            "parsed_seconds": round(parsed_s, 3),
            "steps_seconds": round(steps_s, 3),
            "steps_ratio": round(seconds / steps_s, 2),
        }


def _run_first(report: Callable[[str], None]) -> dict[str, Any]:
    """Nothing is there yet; units are the boxes and the lighthouse."""
    with hold_lab(report) as lab:
        refuse_work(lab.running)
        desired = merge_fleet(lab, FIRST_BOXES)
        report(f"syncing {FIRST_BOXES} boxes for the first time")
        with lead_crew(lab, desired.fleet, CREW) as crew:
            seconds, requests, done = _time_sync(desired, crew)
        report("registering the same jobs bare")
        floor_s = _register_bare([wish.job for wish in list_wishes(desired)], read_settings(lab.management))
        return _describe(FIRST_BOXES, len(done.changed), seconds, floor_s, requests)


def _time_sync(desired: Desired, crew: Sequence[Servers]) -> tuple[float, int, Synced]:
    """(seconds, requests, what it did) of one cycle."""
    with count_requests() as count:
        start = time.perf_counter()
        done = _sync(desired, crew)
        return time.perf_counter() - start, count.requests, done


def _sync(desired: Desired, crew: Sequence[Servers]) -> Synced:
    done = sync_once(desired, crew[0], (), lambda _: None, wait=False, crew=crew[1:])
    if done.failed or done.held or done.left:
        raise RitiError((*done.problems, *done.held))
    return done


def _register_bare(jobs: Sequence[str], settings: Settings) -> float:
    """Seconds to post every job, parsed beforehand, under another id, over the crew's connections."""
    nomad = Nomad(settings)
    parsed = [nomad.parse(job) for job in jobs]
    bare = [rename_job(job, f"bare-{job['ID']}") for job in parsed]
    start = time.perf_counter()
    act_side_by_side(lambda session, job: post_job(session, settings.nomad, job), bare, settings, CREW)
    return time.perf_counter() - start


def _time_steps(steps: Steps, jobs: Sequence[str]) -> float:
    start = time.perf_counter()
    act_side_by_side(steps.take, jobs, steps.settings, CREW)
    return time.perf_counter() - start


@dataclass(frozen=True)
class Steps:
    """A unit's steps by bare requests, under names that begin with prefix; whole: as a sync takes them."""

    settings: Settings
    prefix: str
    is_whole: bool = False

    def take(self, session: requests.Session, text: str) -> None:
        """Parse and register one job; whole: entry, plan and entry too."""
        address = self.settings.nomad.address
        asked = {"JobHCL": text, "Canonicalize": True}
        parsed = session.post(f"{address}/v1/jobs/parse", json=asked)
        parsed.raise_for_status()
        job = rename_job(parsed.json(), f"{self.prefix}-{parsed.json()['ID']}")
        index = 0
        if self.is_whole:
            plan = session.post(f"{address}/v1/job/{job['ID']}/plan", json={"Job": job, "Diff": True})
            plan.raise_for_status()
            index = self._write(session, job["ID"], b"before" * 100, 0)
        post_job(session, self.settings.nomad, job)
        if self.is_whole:
            self._write(session, job["ID"], b"after." * 100, index)

    def _write(self, session: requests.Session, key: str, value: bytes, index: int) -> int:
        operation = {
            "Verb": "cas",
            "Key": f"bench/{key}",
            "Value": base64.b64encode(value).decode(),
            "Index": index,
        }
        consul = self.settings.consul
        token = {"X-Consul-Token": consul.token}
        answer = session.put(f"{consul.address}/v1/txn", json=[{"KV": operation}], headers=token)
        answer.raise_for_status()
        return int(answer.json()["Results"][0]["KV"]["ModifyIndex"])


def _describe(boxes: int, changed: int, seconds: float, floor_s: float, requests: int) -> dict[str, Any]:
    return {
        "bench": "sync-apply",
        "boxes": boxes,
        "changed": changed,
        "seconds": round(seconds, 3),
        "floor_seconds": round(floor_s, 3),
        "ratio": round(seconds / floor_s, 2),
        "requests": requests,
        "requests_per_unit": round(requests / changed, 1),
    }
