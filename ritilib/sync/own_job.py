"""Registers RITI's own jobs in Nomad, the controller and the gateway: an engineer's step. No sync applies them."""

from __future__ import annotations

from typing import Any, Literal

from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import NomadClient
from ritilib.errors import Conflict, RitiError

DEPLOY_S = 900.0  # three instances, one after the other, each with its deadline of 5 minutes
MARK = "riti.fleet"


def plan_own_job(text: str, fleet_id: str, nomad: NomadClient) -> tuple[dict[str, Any], JobPlan]:
    """The job (in HCL) as Nomad reads it, and what registering it would change. Nothing is written.

    nomad is a client for the job's namespace. Raises Conflict where a job of that name is there and does not carry
    this fleet's mark.
    """
    job = nomad.parse(text)
    held = nomad.read_job(job["ID"])
    if held and (held.get("Meta") or {}).get(MARK) != fleet_id:
        what = f"Nomad's job {job['ID']} is there and does not carry this fleet's mark"
        raise Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")
    return job, nomad.plan(job)


def run_own_job(
    text: str, fleet_id: str, nomad: NomadClient, wait: bool, name: str
) -> Literal["none", "registered", "deployed"]:
    """Register the job where it is another than Nomad's, by compare-and-set; with wait, until it is deployed.

    Raises as plan_own_job, Conflict where somebody wrote in between, and RitiError with Nomad's words where the new
    instances do not become ready (Nomad then goes back to the version before by itself). name is what it is called.
    """
    job, planned = plan_own_job(text, fleet_id, nomad)
    if planned.changes == "none":
        return "none"
    registered = nomad.register(job, planned.modify_index)
    if not wait:
        return "registered"
    deployed = nomad.wait_deployed(job["ID"], registered.modify_index, DEPLOY_S)
    if deployed.status != "successful":
        mend = f"see `nomad job status -namespace {job['Namespace']} {job['ID']}`, mend it, and run the same again"
        raise RitiError.because(f"{name}'s new version does not come up: {deployed.description}", mend)
    return "deployed"
