"""From the placement of a PBX's instance to its container, and from its end to the end of its allocation: with the
tasks that take and give back its address, and without them.

Both by Nomad's own record of the tasks. Without them the overlay waits for an address that nobody takes, so that what
is compared is when the container of the PBX starts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bench.lab.servers import hold_lab, lead_servers, merge_fleet, open_session
from ritilib.clients.settings import read_settings
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.processes import poll
from ritilib.errors import DevstackError, RitiError
from ritilib.render.names import UnitNames
from ritilib.sync.once import sync_once

ROUNDS = 9
DEADLINE_S = 120.0
TURN_TASKS = ("take", "release")


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object with the two tasks and one without; seconds are medians."""
    with hold_lab(report) as lab:
        desired = merge_fleet(lab, 1)
        report("starting the lighthouse and one PBX")
        with lead_servers(lab, desired.fleet) as servers:
            done = sync_once(desired, servers, (), report)
        if not done.is_clean:
            raise RitiError((*done.problems, *done.held))
        key = next(unit.key for unit in desired.units if unit.kind == "pbx")
        job = lab.nomad.read_job(UnitNames(desired.fleet, *key.split("/")).job_id)
        if job is None:
            raise DevstackError.because(f"{key} has no job", "see what the sync said")
        bare = {**job, "TaskGroups": [_leave_turns(group) for group in job["TaskGroups"]]}
        # the rounds of both lie beside each other, for a machine that does something else too
        rounds: dict[str, list[dict[str, float]]] = {"with take and release": [], "without": []}
        for number in range(ROUNDS):
            report(f"round {number + 1} of {ROUNDS}")
            for name, one in zip(rounds, (job, bare), strict=True):
                rounds[name].append(_start_and_end(lab, one))
        return [_describe(name, measured) for name, measured in rounds.items()]


def _leave_turns(group: dict[str, Any]) -> dict[str, Any]:
    return {**group, "Tasks": [task for task in group["Tasks"] if task["Name"] not in TURN_TASKS]}


def _start_and_end(lab: Lab, job: dict[str, Any]) -> dict[str, float]:
    """One instance, after none: seconds by what they are of."""
    nomad, job_id = lab.nomad, job["ID"]
    _stop(lab, job_id)
    held = nomad.read_job(job_id)
    nomad.register({**job, "Stop": False}, held["JobModifyIndex"] if held else 0)
    _wait(
        lambda: bool(nomad.find_running(job_id)) and "StartedAt" in _read_tasks(lab, job_id).get("pbx", {}),
        "runs",
    )
    placed, tasks = _read_newest(lab, job_id)["CreateTime"] / 1e9, _read_tasks(lab, job_id)
    found = {"start_s": _read_time(tasks["pbx"], "StartedAt") - placed}
    if "take" in tasks:
        found["take_s"] = _read_time(tasks["take"], "FinishedAt") - _read_time(tasks["take"], "StartedAt")
    _stop(lab, job_id)
    tasks = _read_tasks(lab, job_id)
    if "release" in tasks:
        ended = max(_read_time(tasks[name], "FinishedAt") for name in ("pbx", "overlay"))
        found["release_s"] = _read_time(tasks["release"], "FinishedAt") - ended
    return found


def _stop(lab: Lab, job_id: str) -> None:
    nomad = lab.nomad
    job = nomad.read_job(job_id)
    if job and not job["Stop"]:
        nomad.stop_job(job_id, job["JobModifyIndex"])
    _wait(lambda: not [one for one in nomad.list_alive(job_id) if one.job_id == job_id], "has ended")


def _read_newest(lab: Lab, job_id: str) -> dict[str, Any]:
    """Nomad's JSON of the job's newest allocation."""
    server = read_settings(lab.management).nomad
    session = open_session(server)
    found = session.get(f"{server.address}/v1/job/{job_id}/allocations").json()
    newest = max(found, key=lambda one: one["CreateIndex"])
    allocation: dict[str, Any] = session.get(f"{server.address}/v1/allocation/{newest['ID']}").json()
    return allocation


def _read_tasks(lab: Lab, job_id: str) -> dict[str, dict[str, Any]]:
    """Task → its state, without what has not happened yet."""
    states = _read_newest(lab, job_id).get("TaskStates") or {}
    return {name: {word: said for word, said in state.items() if said} for name, state in states.items()}


def _read_time(task: dict[str, Any], word: str) -> float:
    return datetime.fromisoformat(task[word]).timestamp()


def _wait(holds: Callable[[], bool], what: str) -> None:
    if not poll(holds, DEADLINE_S):
        raise DevstackError.because(f"the PBX has not come so far that it {what}", "see Nomad's log")


def _describe(name: str, rounds: list[dict[str, float]]) -> dict[str, Any]:
    row: dict[str, Any] = {"bench": "start", "tasks": name}
    for word in rounds[0]:
        seconds = [one[word] for one in rounds]
        row |= {word: round(statistics.median(seconds), 3), f"worst_{word}": round(max(seconds), 3)}
    return row
