"""The controller's rights by workload identity: made once, taken away again, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.settings import Settings
from ritilib.clients.vault import Vault
from ritilib.devstack.stack import Stack
from ritilib.errors import Conflict, Denied, ServerError
from ritilib.fleet.controller_file import Controller
from ritilib.fleet.load import load_fleet
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.controller import render_controller
from ritilib.render.names import ControllerNames
from ritilib.sync.controller_job import plan_controller, run_controller_job
from ritilib.sync.lead.bootstrap import AUTH_METHOD, bootstrap
from ritilib.sync.lead.identity import is_controllers
from ritilib.sync.lead.rights import Rights
from ritilib.sync.unit.apply import JWT_MOUNT
from tests.unit.render.test_controller import CLEAN, HOST_KEY

TIMEOUT_S = 120.0
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
EVERYTHING = {
    "image": "registry.example/riti/controller:1",
    "remote": "git@forge.example:a/b.git",
    "known_hosts": [HOST_KEY],
    "secrets": ["git_key", "hook_gitea", "forge_token", "notify_url", "notify_secret"],
    "port": 8080,
    "count": 5,
    "namespace": "telephones",
    "ca": PEM,
    "nomad": "https://${attr.unique.network.ip-address}:4646",
}
# a job that calls its task as the controller's is called
JOB = """\
job "{job_id}" {{
  update {{
    health_check     = "task_states"
    min_healthy_time = "1s"
  }}
  group "controller" {{
    task "controller" {{
      driver       = "docker"
      kill_timeout = "1s"
      config {{
        image = "riti/pause:dev"
      }}
      identity {{
        name     = "probe"
        aud      = ["consul.io", "vault.io"]
        file     = true
        filepath = "local/probe.jwt"
      }}
      resources {{
        cpu    = 20
        memory = 16
      }}
    }}
  }}
}}
"""


@dataclass
class Servers:
    nomad: NomadClient
    consul: ConsulClient
    vault: VaultClient
    overlay: OverlayTool
    jwks_url: str

    def bootstrap(self, fleet: str, namespace: str | None) -> list[str]:
        said: list[str] = []
        arguments = (self.nomad, self.consul, self.vault, self.overlay, fleet, f"id-{fleet}", self.jwks_url)
        self.tokens = bootstrap(
            *arguments, getattr(self, "tokens", None), said.append, namespace
        ).environment()
        return said

    def list_rules(self) -> list[str]:
        return [one.bind_name for one in self.consul.list_binding_rules(AUTH_METHOD) if is_controllers(one)]


@pytest.fixture
def servers(nomad: NomadClient, consul: ConsulClient, vault: VaultClient, stack: Stack) -> Servers:
    return Servers(nomad, consul, vault, OverlayTool(stack.nebula_cert), stack.jwks_url)


def test_a_second_time_there_is_nothing_to_write(servers: Servers, fleet: str) -> None:
    servers.bootstrap(fleet, "telephones")
    names, policy = ControllerNames(fleet), Rights(fleet).candidate
    assert servers.list_rules().count(names.role) == 1
    servers.bootstrap(fleet, "telephones")
    assert servers.list_rules().count(names.role) == 1
    description = f"riti id-{fleet} controller"
    assert not servers.consul.put_role(names.role, (policy,), description)
    with pytest.raises(Conflict):
        servers.consul.put_role(names.role, (policy,), "riti another controller")


def test_another_fleets_controller_is_no_wide_rule(servers: Servers, fleet: str) -> None:
    servers.bootstrap(fleet, "default")
    servers.tokens = {}
    servers.bootstrap(f"{fleet}b", "default")
    assert {ControllerNames(fleet).role, ControllerNames(f"{fleet}b").role} <= set(servers.list_rules())


def test_the_rights_go_with_the_setting(servers: Servers, fleet: str) -> None:
    servers.bootstrap(fleet, "telephones")
    servers.bootstrap(fleet, None)
    names = ControllerNames(fleet)
    assert not servers.vault.delete_role(JWT_MOUNT, names.role)
    assert not servers.consul.delete_role(names.role, f"riti id-{fleet} controller")
    servers.bootstrap(fleet, "telephones")
    assert servers.vault.delete_role(JWT_MOUNT, names.role)


@pytest.fixture
def real(settings: Settings, stack: Stack) -> Servers:
    return Servers(
        Nomad(settings), Consul(settings), Vault(settings), OverlayTool(stack.nebula_cert), stack.jwks_url
    )


@pytest.fixture
def stranger(real: Servers, fleet: str) -> Iterator[str]:
    """What Nomad signed for the task `controller` of another job."""
    real.bootstrap(fleet, "default")
    job_id, nomad = f"{ControllerNames(fleet).job_id}-2", real.nomad
    registered = nomad.register(nomad.parse(JOB.format(job_id=job_id)), 0)
    assert nomad.wait_deployed(job_id, registered.modify_index, TIMEOUT_S).status == "successful"
    [allocation] = nomad.find_running(job_id)
    jwt = nomad.read_alloc_file(allocation, "controller/local/probe.jwt")
    assert jwt is not None
    yield jwt.decode()
    stopped = nomad.stop_job(job_id, registered.modify_index)
    nomad.purge_job(job_id, stopped.modify_index)


def test_another_job_gets_none_of_it(real: Servers, settings: Settings, fleet: str, stranger: str) -> None:
    with pytest.raises(ServerError):
        Vault(settings).login(JWT_MOUNT, ControllerNames(fleet).role, stranger)
    with pytest.raises(Denied):
        Consul(settings).login(AUTH_METHOD, stranger)
    bearer = Nomad(replace(settings, nomad=replace(settings.nomad, token=stranger)))
    with pytest.raises(Denied):
        bearer.list_jobs(f"{fleet}--")


@pytest.mark.parametrize("more", [{}, EVERYTHING], ids=["the least", "everything"])
def test_nomad_takes_the_job(real: Servers, more: dict[str, object]) -> None:
    said = load_fleet(read_fleet_files(CLEAN)).fleet.said
    least = {"image": "riti/controller:1", "remote": "https://forge.example/t.git"}
    wanted = Controller.model_validate(least | more)
    job = real.nomad.parse(render_controller(said, wanted))
    [group] = job["TaskGroups"]
    [task] = group["Tasks"]
    assert (job["ID"], job["Namespace"], group["Count"]) == ("riti-demo", wanted.namespace, wanted.count)
    assert group["RestartPolicy"]["Attempts"] == 0 and group["ReschedulePolicy"]["Unlimited"]
    assert job["Update"]["AutoRevert"] and job["Update"]["MaxParallel"] == 1
    assert task["Vault"]["ChangeMode"] == "noop" and task["Vault"]["Role"] == "riti-demo-controller"
    assert {template["ChangeMode"] for template in task["Templates"] or ()} <= {"noop"}
    texts = [template["EmbeddedTmpl"] for template in task["Templates"] or ()]
    assert all(text.count("{{") == text.count("}}") for text in texts)
    if more:
        assert PEM in texts and f"{HOST_KEY}\n" in texts
        assert task["Env"]["NOMAD_ADDR"] == EVERYTHING["nomad"]
    assert re.fullmatch(r"\$\{NOMAD_ADDR_http\}", task["Env"]["RITI_LISTEN"])


def test_a_job_of_its_name_that_is_anothers_is_left(real: Servers, fleet: str) -> None:
    said = load_fleet(read_fleet_files(CLEAN)).fleet.said
    least = Controller(image="riti/controller:1", remote="https://forge.example/t.git")
    ours = said.model_copy(update={"name": fleet, "controller": least})
    job, planned = plan_controller(ours, real.nomad)
    assert planned.changes == "create"
    held = real.nomad.register({**job, "Meta": {"riti.fleet": "another"}, "Stop": True}, 0)
    with pytest.raises(Conflict, match="does not carry this fleet's mark"):
        run_controller_job(ours, real.nomad, wait=False)
    assert real.nomad.purge_job(job["ID"], held.modify_index)
