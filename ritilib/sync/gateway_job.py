"""The gateway's job in Nomad, and the one document of Vault that its task may read. An engineer's step, no sync's."""

from __future__ import annotations

from typing import Any, Literal

from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import NomadClient, VaultClient
from ritilib.errors import RitiError
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.gateway_file import Gateway
from ritilib.render.gateway import render_gateway
from ritilib.render.names import GatewayNames
from ritilib.sync.own_job import plan_own_job, run_own_job
from ritilib.sync.unit.apply import JWT_MOUNT, make_task_role

# Nobody renews it while Nomad's client is away; an outage that is longer keeps the certificates that are there.
TOKEN_PERIOD_S = 24 * 3600


def need_gateway(fleet: FleetFile) -> Gateway:
    """What fleet.yaml says of the gateway's job; RitiError where it says none."""
    if fleet.gateway is None or fleet.gateway.image is None:
        mend = "add `gateway:` with `addresses`, `image` and `vault` (docs/gateway.md), and merge it"
        raise RitiError.because("fleet.yaml says nothing of a gateway that RITI runs", mend)
    return fleet.gateway


def plan_gateway(fleet: FleetFile, nomad: NomadClient) -> tuple[dict[str, Any], JobPlan]:
    """As plan_own_job; nomad is a client for the namespace that fleet.yaml names."""
    return plan_own_job(render_gateway(fleet, need_gateway(fleet)), str(fleet.id), nomad)


def run_gateway_job(
    fleet: FleetFile, nomad: NomadClient, wait: bool
) -> Literal["none", "registered", "deployed"]:
    """As run_own_job; boxes of the instance that is replaced come to another by themselves."""
    text = render_gateway(fleet, need_gateway(fleet))
    return run_own_job(text, str(fleet.id), nomad, wait, "the gateway")


def put_gateway_rights(vault: VaultClient, fleet: str, namespace: str) -> None:
    """Let the gateway's task, and nothing else, read its document and the authority of boxes; again without harm."""
    names = GatewayNames(fleet)
    paths = (names.vault_path, names.boxes_authority)
    vault.put_policy(
        names.role, "\n".join(f'path "{path}" {{\n  capabilities = ["read"]\n}}\n' for path in paths)
    )
    claims = {"nomad_namespace": namespace, "nomad_job_id": names.job_id, "nomad_task": names.task}
    role = make_task_role(claims, "nomad_allocation_id", names.role, TOKEN_PERIOD_S)
    vault.put_role(JWT_MOUNT, names.role, role)


def delete_gateway_rights(vault: VaultClient, fleet: str) -> None:
    """Take them away, where RITI runs no gateway (any more)."""
    names = GatewayNames(fleet)
    vault.delete_role(JWT_MOUNT, names.role)
    vault.delete_policy(names.role)
