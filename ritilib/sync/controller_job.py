"""The controller's own job in Nomad. It is an engineer's step: no sync applies what it runs by itself."""

from __future__ import annotations

from typing import Any, Literal

from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import NomadClient
from ritilib.errors import RitiError
from ritilib.fleet.controller_file import Controller
from ritilib.fleet.fleet_file import FleetFile
from ritilib.render.controller import render_controller
from ritilib.sync.own_job import plan_own_job, run_own_job


def need_controller(fleet: FleetFile) -> Controller:
    """What fleet.yaml says of the controller; RitiError where it says nothing."""
    if fleet.controller is None:
        mend = "add `controller:` with `image` and `remote` (docs/controller.md), and merge it"
        raise RitiError.because("fleet.yaml says nothing of a controller", mend)
    return fleet.controller


def plan_controller(fleet: FleetFile, nomad: NomadClient) -> tuple[dict[str, Any], JobPlan]:
    """As plan_own_job; nomad is a client for the namespace that fleet.yaml names."""
    return plan_own_job(render_controller(fleet, need_controller(fleet)), str(fleet.id), nomad)


def run_controller_job(
    fleet: FleetFile, nomad: NomadClient, wait: bool
) -> Literal["none", "registered", "deployed"]:
    """As run_own_job.

    The instances are replaced one after the other: the one that leads ends its units, gives the lock back, and another
    goes on.
    """
    text = render_controller(fleet, need_controller(fleet))
    return run_own_job(text, str(fleet.id), nomad, wait, "the controller")
