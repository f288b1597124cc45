"""Registers the controller's own job in Nomad. It is an engineer's step: no sync applies what it runs by itself."""

from __future__ import annotations

from typing import Any, Literal

from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import NomadClient
from ritilib.errors import Conflict, RitiError
from ritilib.fleet.controller_file import Controller
from ritilib.fleet.fleet_file import FleetFile
from ritilib.render.controller import render_controller

DEPLOY_S = 900.0  # three instances, one after the other, each with its deadline of 5 minutes
MARK = "riti.fleet"


def need_controller(fleet: FleetFile) -> Controller:
    """What fleet.yaml says of the controller; RitiError where it says nothing."""
    if fleet.controller is None:
        mend = "add `controller:` with `image` and `remote` (docs/controller.md), and merge it"
        raise RitiError.because("fleet.yaml says nothing of a controller", mend)
    return fleet.controller


def plan_controller(fleet: FleetFile, nomad: NomadClient) -> tuple[dict[str, Any], JobPlan]:
    """The job as Nomad reads it, and what registering it would change. Nothing is written.

    nomad is a client for the namespace that fleet.yaml names. Raises Conflict where a job of that name is there and
    does not carry this fleet's mark.
    """
    job = nomad.parse(render_controller(fleet, need_controller(fleet)))
    held = nomad.read_job(job["ID"])
    if held and (held.get("Meta") or {}).get(MARK) != str(fleet.id):
        what = f"Nomad's job {job['ID']} is there and does not carry this fleet's mark"
        raise Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")
    return job, nomad.plan(job)


def run_controller_job(
    fleet: FleetFile, nomad: NomadClient, wait: bool
) -> Literal["none", "registered", "deployed"]:
    """Register the job where it is another than Nomad's, by compare-and-set; with wait, until it is deployed.

    The instances are replaced one after the other: the one that leads ends its units, gives the lock back, and another
    goes on. Raises as plan_controller, Conflict where somebody wrote in between, and RitiError with Nomad's words
    where the new ones do not become ready (Nomad then goes back to the version before by itself).
    """
    job, planned = plan_controller(fleet, nomad)
    if planned.changes == "none":
        return "none"
    registered = nomad.register(job, planned.modify_index)
    if not wait:
        return "registered"
    deployed = nomad.wait_deployed(job["ID"], registered.modify_index, DEPLOY_S)
    if deployed.status != "successful":
        mend = f"see `nomad job status -namespace {job['Namespace']} {job['ID']}`, mend it, and run the same again"
        raise RitiError.because(
            f"the controller's new version does not come up: {deployed.description}", mend
        )
    return "deployed"
