"""Rule 12, tried with a running job's own identity: it reads its own value and document, and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings
from ritilib.clients.vault import Vault
from ritilib.devstack.stack import Stack
from ritilib.errors import Denied, ServerError
from ritilib.reconcile.state import Wish
from ritilib.render.names import UnitNames
from ritilib.sync.lead.bootstrap import AUTH_METHOD, bootstrap
from ritilib.sync.unit.apply import JWT_MOUNT, vault_role

TIMEOUT_S = 120.0
JOB = """\
job "{job_id}" {{
  update {{
    health_check     = "task_states"
    min_healthy_time = "1s"
  }}
  group "pbx" {{
    task "pbx" {{
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


@dataclass(frozen=True)
class Neighbours:
    """Two boxes of one company, each with its value, document, policies and roles; the first one's job runs."""

    settings: Settings
    one: UnitNames
    two: UnitNames
    jwt: str

    def log_in(self, unit: UnitNames) -> tuple[Consul, Vault]:
        """The clients that the first one's job gets, Vault by the role of `unit`."""
        consul_token = Consul(self.settings).login(AUTH_METHOD, self.jwt)
        vault_token = Vault(self.settings).login(JWT_MOUNT, unit.role, self.jwt)
        return (
            Consul(replace(self.settings, consul=replace(self.settings.consul, token=consul_token))),
            Vault(replace(self.settings, vault=replace(self.settings.vault, token=vault_token))),
        )


@pytest.fixture
def neighbours(stack: Stack, settings: Settings, fleet: str) -> Iterator[Neighbours]:
    nomad, consul, vault = Nomad(settings), Consul(settings), Vault(settings)
    overlay, mark = OverlayTool(Path(stack.nebula_cert)), f"riti id-{fleet}"
    bootstrap(nomad, consul, vault, overlay, fleet, f"id-{fleet}", stack.jwks_url, None, lambda words: None)
    one, two = UnitNames(fleet, "acme", "one"), UnitNames(fleet, "acme", "two")
    for names in (one, two):
        consul.write(names.kv_key, names.key.encode(), 0)
        vault.write_document(names.document, {"of": names.key}, 0)
        vault.put_policy(names.role, f'path "{names.vault_path}" {{\n  capabilities = ["read"]\n}}\n')
        vault.put_role(JWT_MOUNT, names.role, vault_role(cast(Wish, SimpleNamespace(names=names))))
        consul.put_policy(names.role, f'key "{names.kv_key}" {{\n  policy = "read"\n}}\n', mark)
        consul.put_role(names.role, (names.role,), mark)
    job = nomad.parse(JOB.format(job_id=one.job_id))
    registered = nomad.register(job, 0)
    deployment = nomad.wait_deployed(one.job_id, registered.modify_index, TIMEOUT_S)
    assert deployment.status == "successful", deployment.description
    (allocation,) = nomad.list_allocations(one.job_id)
    yield Neighbours(settings, one, two, read_identity(stack, allocation.id))
    nomad.stop_job(one.job_id, registered.modify_index)


def read_identity(stack: Stack, allocation_id: str) -> str:
    """The identity that Nomad wrote into the task's folder."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"{stack.nomad_address}/v1/client/fs/cat/{allocation_id}",
            params={"path": "pbx/local/probe.jwt"},
            headers={"X-Nomad-Token": stack.nomad_token},
            timeout=TIMEOUT_S,
        )
    assert answer.ok, answer.text
    return answer.text.strip()


def test_a_job_reads_its_own_value_and_document_only(neighbours: Neighbours) -> None:
    one, two = neighbours.one, neighbours.two
    consul, vault = neighbours.log_in(one)
    entry, document = consul.read(one.kv_key), vault.read_document(one.document)
    assert entry is not None and entry.value == one.key.encode()
    assert document is not None and document.data == {"of": one.key}
    forbidden: tuple[Any, ...] = (
        lambda: consul.read(two.kv_key),
        lambda: consul.read(f"riti/{one.fleet}/inventory/{one.key}"),
        lambda: consul.write(one.kv_key, b"", entry.modify_index),
        lambda: consul.put_policy(one.role, "", f"riti id-{one.fleet}"),
        lambda: vault.read_document(two.document),
        lambda: vault.read_document(one.box_document),
        lambda: vault.read_document(f"{one.fleet}/overlay/ca"),
        lambda: vault.write_document(one.document, {}, 1),
        lambda: vault.compute_hmac(one.fleet, "x"),
    )
    for ask in forbidden:
        with pytest.raises(Denied):
            ask()
    with pytest.raises(Denied, match="the token sees only a part"):
        consul.list_keys(f"riti/{one.fleet}/")


def test_a_job_cannot_take_its_neighbours_role(neighbours: Neighbours) -> None:
    with pytest.raises(ServerError, match=r"bound claim|does not match"):
        Vault(neighbours.settings).login(JWT_MOUNT, neighbours.two.role, neighbours.jwt)


def test_a_role_that_is_gone_cuts_a_job_off(neighbours: Neighbours) -> None:
    consul, _ = neighbours.log_in(neighbours.one)
    management = Consul(neighbours.settings)._client.acl.role
    management.delete(management.read_by_name(neighbours.one.role)["ID"])
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            consul.read(neighbours.one.kv_key)
        except Denied:
            break
        assert time.monotonic() < end, "the deleted role still gives access"
    with pytest.raises(Denied):
        Consul(neighbours.settings).login(AUTH_METHOD, neighbours.jwt)
