"""What a fleet needs of Nomad, Consul and Vault before its first sync; again without harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad_values import JobTask, TemplateRetries
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT
from ritilib.errors import Conflict, Problem, RitiError
from ritilib.reconcile.leading import Timing
from ritilib.sync.enroll.prepare import prepare_enrollment
from ritilib.sync.lead.identity import (
    delete_identity,
    describe_controller,
    find_task,
    is_controllers,
    put_identity,
)
from ritilib.sync.lead.rights import NOMAD_CANDIDATE, NOMAD_LEADER, Rights
from ritilib.sync.unit.apply import JWT_MOUNT

AUTH_METHOD = "nomad-workloads"  # what Nomad's agents log in to for a task, by default
AUTH_METHOD_DESCRIPTION = "riti workload identities that Nomad signs"
CONSUL_AUDIENCE = "consul.io"
ROLE_OF_JOB = "pbx-${value.nomad_job_id}"
# no service's identity (it carries the service's name), and no job of another namespace, takes a PBX's role
TASKS_ONLY = '"nomad_service" not in value and value.nomad_namespace == "default"'
CONNECTIONS = 200  # Consul's default
LONGEST_END_S = 3600.0  # kill_timeout of jobs/pbx/job.nomad.hcl.j2
AUTHORITY_HOURS = 10 * 365 * 24


@dataclass(frozen=True)
class Bootstrapped:
    """The controller's standing tokens: they read, and stand for election (ritilib.sync.lead); a leader's own write.

    What they can do by that: ritilib.sync.lead.rights. A leader's reach in Vault this fleet's documents and roles; in
    Nomad every job of the namespace `default`; in Consul every ACL, since it has no narrower right by which a
    controller could give each PBX a role.
    """

    nomad_token: str = field(repr=False)
    consul_token: str = field(repr=False)
    vault_token: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """The variables that a sync reads them from."""
        return {
            "NOMAD_TOKEN": self.nomad_token,
            "CONSUL_HTTP_TOKEN": self.consul_token,
            "VAULT_TOKEN": self.vault_token,
        }


def bootstrap(
    nomad: NomadClient,
    consul: ConsulClient,
    vault: VaultClient,
    overlay_tool: OverlayTool,
    fleet: str,
    fleet_id: str,
    jwks_url: str,
    previous: Mapping[str, str] | None,
    report: Callable[[str], None],
    namespace: str | None = None,
) -> Bootstrapped:
    """Prepare the three servers for a fleet. The clients have management tokens.

    jwks_url is where Consul and Vault fetch the keys that Nomad signs workload identities with. previous is
    what `environment` once gave: tokens in it that still have their rights are kept. namespace is that of the
    controller's job (None: it is no Nomad job, and no job has its rights). Raises Conflict where a
    name that the fleet needs belongs to somebody else, or where tasks are given a wider Consul role than
    their own (rule 12), and Unreachable, Denied or ServerError. Raises RitiError naming every node whose
    templates would end their tasks in an outage (rule 10), before anything is written.
    """
    report("Nomad: do the nodes' templates outlive an outage?")
    nodes = nomad.list_template_retries()
    mortal = judge_retries(nodes)
    if mortal:
        raise RitiError(mortal)
    for words in judge_ends(nodes):
        report(words)
    if words := judge_connections(consul.read_connection_limit()):
        report(words)
    report("Vault: mounts, workload identities, the fleet's key")
    vault.enable_kv(KV_MOUNT)
    vault.enable_transit(TRANSIT_MOUNT)
    vault.create_transit_key(fleet)
    vault.enable_jwt(JWT_MOUNT, jwks_url)
    report("Consul: workload identities")
    consul.put_auth_method(AUTH_METHOD, _auth_method(jwks_url), AUTH_METHOD_DESCRIPTION)
    consul.put_binding_rule(AUTH_METHOD, "role", ROLE_OF_JOB, TASKS_ONLY, AUTH_METHOD_DESCRIPTION)
    _refuse_wide_rules(consul)
    prepare_enrollment(consul, vault, fleet, fleet_id, report)
    _make_authority(vault, overlay_tool, fleet, report)
    report("the controller's rights and tokens")
    _make_leader_rights(nomad, consul, vault, fleet, fleet_id)
    task = find_task(fleet, namespace) if namespace else None
    _put_candidate(nomad, consul, vault, fleet, fleet_id, task)
    return _make_tokens(nomad, consul, vault, fleet, fleet_id, previous or {}, report)


def judge_retries(found: Iterable[TemplateRetries]) -> list[Problem]:
    """A problem for each node whose templates give up on a server: its tasks are then ended, calls and all.

    With Nomad's default of 12 attempts a PBX was killed 303 s after Consul stopped (DESIGN, rule 10).
    """
    mend = (
        "write `template { consul_retry { attempts = 0 } vault_retry { attempts = 0 } nomad_retry { attempts = 0 } }`"
        " into its client block and restart its agent"
    )
    problems = []
    for one in found:
        limits = {"Consul": one.consul, "Vault": one.vault, "Nomad": one.nomad}
        if any(attempts is None for attempts in limits.values()):
            what = f"node {one.node} does not say how often its templates retry"
            mend = "let this token read its agent, at its own address; if it is away, try again when Nomad says so"
            problems.append(Problem("", 0, 0, what, mend))
        elif any(limits.values()):
            limiting = ", ".join(server for server, attempts in limits.items() if attempts)
            what = f"node {one.node} would end its tasks when one of {limiting} is away"
            problems.append(Problem("", 0, 0, what, mend))
    return problems


def judge_ends(found: Iterable[TemplateRetries]) -> list[str]:
    """A warning for each node that would not let a PBX end with its last call, as its job says (jobs/pbx).

    Nomad's default is 30 s (client, max_kill_timeout), and it clips what a job says without a word. It matters where
    Nomad itself ends a PBX: a drain, a hand, or a host that comes back and whose PBX was replaced meanwhile.
    """
    return [
        f"Nomad: node {one.node} ends a PBX {one.longest_end_s:g} s after it was told to, its call with it: write "
        f'`max_kill_timeout = "1h"` into its client block and restart its agent'
        for one in found
        if one.longest_end_s is not None and one.longest_end_s < LONGEST_END_S
    ]


def judge_connections(limit: int) -> str:
    """A warning where a Consul agent grants one client address as few connections as it does by default; "" else.

    A PBX's templates hold one each for their blocking query, and so do Nomad's own; the 201st asker of 200 is answered
    429 (Consul 1.15.3, limits.http_max_conns_per_client). This is the agent that was asked; the others are configured
    alike, or not: Consul tells nobody of them.
    """
    if limit == 0 or limit > CONNECTIONS:
        return ""
    return (
        f"Consul: its agent grants one client address {limit} connections, and each PBX's template holds some: set "
        "`limits { http_max_conns_per_client = 16384 }` for the agent of every Nomad client"
    )


def _refuse_wide_rules(consul: ConsulClient) -> None:
    """Conflict where another binding rule gives our tasks a role too, as `nomad setup consul` makes one."""
    wide = [
        rule
        for rule in consul.list_binding_rules(AUTH_METHOD)
        if rule.bind_type != "service"
        and rule.description != AUTH_METHOD_DESCRIPTION
        and not is_controllers(rule)
    ]
    if wide:
        names = ", ".join(f"{rule.bind_type} {rule.bind_name} ({rule.id})" for rule in wide)
        what = f"Consul gives every task that logs in through {AUTH_METHOD} more than its own role: {names}"
        raise Conflict.because(
            what, "delete or narrow these binding rules: `consul acl binding-rule delete -id`"
        )


def _auth_method(jwks_url: str) -> dict[str, object]:
    claims = ("nomad_namespace", "nomad_job_id", "nomad_task", "nomad_service")
    return {
        "JWKSURL": jwks_url,
        "JWTSupportedAlgs": ["RS256"],
        "BoundAudiences": [CONSUL_AUDIENCE],
        "ClaimMappings": {claim: claim for claim in claims},
    }


def _make_authority(
    vault: VaultClient, overlay_tool: OverlayTool, fleet: str, report: Callable[[str], None]
) -> None:
    """The overlay's CA, once: a second one would part the boxes that have certificates of the first."""
    path = f"{fleet}/overlay/ca"
    if vault.read_document(path) is None:
        report("making the overlay's certificate authority")
        made = overlay_tool.make_authority(fleet, AUTHORITY_HOURS)
        vault.write_document(path, {"crt": made.crt, "key": made.key}, 0, revive=False)


def _make_leader_rights(
    nomad: NomadClient, consul: ConsulClient, vault: VaultClient, fleet: str, fleet_id: str
) -> None:
    """What a leader may do, and by which right the candidate makes its tokens and revokes its predecessor's."""
    rights, description = Rights(fleet), f"riti {fleet_id} leader"
    nomad.put_policy(rights.leader, NOMAD_LEADER, description)
    consul.put_policy(rights.leader, rights.consul_leader(), description)
    vault.put_policy(rights.leader, rights.vault_leader())
    vault.put_token_role(rights.leader, rights.vault_token_role(Timing().token_ttl_s))
    held = vault.read_document(rights.nomad_document)
    if held and nomad.is_management(held.data["token"]):
        return
    issued = nomad.issue_management_token(f"riti {fleet_id} election")
    try:
        data = {"token": issued.secret, "accessor": issued.accessor}
        vault.write_document(rights.nomad_document, data, held.version if held else 0)
    except RitiError:
        nomad.revoke_token(issued.accessor)
        raise


def _put_candidate(
    nomad: NomadClient,
    consul: ConsulClient,
    vault: VaultClient,
    fleet: str,
    fleet_id: str,
    task: JobTask | None,
) -> None:
    """A candidate's rights, which the task has without a token that lies anywhere."""
    rights, description = Rights(fleet), describe_controller(fleet_id)
    nomad.put_policy(rights.candidate, NOMAD_CANDIDATE, description, task)
    consul.put_policy(rights.candidate, rights.consul_candidate(), description)
    vault.put_policy(rights.candidate, rights.vault_candidate())
    if task:
        put_identity(consul, vault, fleet, fleet_id, task, AUTH_METHOD)
    else:
        delete_identity(consul, vault, fleet, fleet_id)


def _make_tokens(
    nomad: NomadClient,
    consul: ConsulClient,
    vault: VaultClient,
    fleet: str,
    fleet_id: str,
    previous: Mapping[str, str],
    report: Callable[[str], None],
) -> Bootstrapped:
    name, description = Rights(fleet).candidate, describe_controller(fleet_id)
    policies = (name,)
    kept = {
        variable
        for variable, client in (
            ("NOMAD_TOKEN", nomad),
            ("CONSUL_HTTP_TOKEN", consul),
            ("VAULT_TOKEN", vault),
        )
        if previous.get(variable) and client.has_token(previous[variable], policies)
    }
    for variable in sorted(kept):
        report(f"{variable} is still good and is kept")
    return Bootstrapped(
        nomad_token=previous["NOMAD_TOKEN"]
        if "NOMAD_TOKEN" in kept
        else nomad.create_token(policies, description),
        consul_token=(
            previous["CONSUL_HTTP_TOKEN"]
            if "CONSUL_HTTP_TOKEN" in kept
            else consul.create_token(policies, description)
        ),
        vault_token=previous["VAULT_TOKEN"] if "VAULT_TOKEN" in kept else vault.create_token(policies, name),
    )
