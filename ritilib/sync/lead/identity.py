"""The controller's standing tokens where it is a Nomad job: none lies anywhere, each server knows the task itself.

Nomad signs an identity for each task, with the job's id and namespace in it (a job of that name in that namespace is
thus the controller, and whoever may run one has its rights).

- Nomad: a policy bound to the task; the identity itself is the token, and Nomad renews its file at half its hour.
- Vault: a role for that identity. The token is periodic, and Nomad's client renews it: it stays the same, and with it
  live the leader's, which are its children. Where Vault was away for longer than the period, Nomad takes a new one and
  writes it to its file; the leader's, which ended with the old one, are denied then, and another election reads it.
- Consul: a role that a binding rule gives to that identity. Nomad takes the token once for an allocation, and revokes
  it at its end; it has no end of its own.
"""

from __future__ import annotations

import re
from typing import Any

from ritilib.clients.consul_values import BindingRule
from ritilib.clients.nomad_values import JobTask
from ritilib.clients.protocols import ConsulClient, VaultClient
from ritilib.render.names import ControllerNames
from ritilib.sync.lead.rights import Rights
from ritilib.sync.unit.apply import JWT_MOUNT, make_task_role

# An outage of Vault that is longer costs an election; a token that nobody renews any more is gone after it.
TOKEN_PERIOD_S = 24 * 3600
_MARK = re.compile(r"^riti \S+ controller$")


def describe_controller(fleet_id: str) -> str:
    """The mark that the controller's objects bear."""
    return f"riti {fleet_id} controller"


def is_controllers(rule: BindingRule) -> bool:
    """Whether a binding rule is one that `put_identity` makes, of whichever fleet: it is for one job."""
    return bool(_MARK.match(rule.description)) and "value.nomad_job_id ==" in rule.selector


def find_task(fleet: str, namespace: str) -> JobTask:
    """The task that is the controller."""
    names = ControllerNames(fleet)
    return JobTask(namespace, names.job_id, names.task, names.task)


def put_identity(
    consul: ConsulClient, vault: VaultClient, fleet: str, fleet_id: str, task: JobTask, auth_method: str
) -> None:
    """Give a candidate's rights in Consul and Vault to the controller's task; again without harm.

    auth_method is Consul's, for what Nomad signs. The candidate's policies are there, and Nomad's is bound to the task
    already. Raises Conflict where a name belongs to somebody else.
    """
    names, policy, description = (
        ControllerNames(fleet),
        Rights(fleet).candidate,
        describe_controller(fleet_id),
    )
    consul.put_role(names.role, (policy,), description)
    consul.put_binding_rule(auth_method, "role", names.role, write_selector(task), description)
    vault.put_role(JWT_MOUNT, names.role, write_vault_role(task, policy))


def delete_identity(consul: ConsulClient, vault: VaultClient, fleet: str, fleet_id: str) -> None:
    """Take these rights away, where the controller is no Nomad job (any more). Raises Conflict as put_identity."""
    names = ControllerNames(fleet)
    vault.delete_role(JWT_MOUNT, names.role)
    consul.delete_role(
        names.role, describe_controller(fleet_id)
    )  # a binding rule without its role gives nothing


def write_selector(task: JobTask) -> str:
    """Consul's selector of this task's identity, and of none of a service's (it carries the service's name)."""
    said = " and ".join(f'value.{claim} == "{value}"' for claim, value in _list_claims(task).items())
    return f'"nomad_service" not in value and {said}'


def write_vault_role(task: JobTask, policy: str) -> dict[str, Any]:
    """The JWT role that only this task can take."""
    return make_task_role(_list_claims(task), "nomad_allocation_id", policy, TOKEN_PERIOD_S)


def _list_claims(task: JobTask) -> dict[str, str]:
    """What Nomad's identity of this task, and of no other, says."""
    return {"nomad_namespace": task.namespace, "nomad_job_id": task.job, "nomad_task": task.task}
