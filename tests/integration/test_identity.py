"""A running job's own tokens, as Nomad gave them to it: good for its own value and document, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from ritilib.devstack.stack import Stack
from ritilib.render.names import UnitNames
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings

FLEET = "identity"
UNITS = ("acme/montevideo", "acme/salto", "zorro/paysandu", "lighthouse/one")
TIMEOUT_S = 30
Request = tuple[str, str, Any]  # method, path, body in JSON


@dataclass(frozen=True)
class Identity:
    """A running unit, the folder of one of its allocation's tasks, and the tokens that Nomad keeps there."""

    names: UnitNames
    allocation: str
    task: str
    folder: Path
    stack: Stack

    def consul(self, method: str, path: str, body: Any = None) -> requests.Response:
        token = (self.folder / "secrets" / "consul_token").read_text()
        address = self.stack.consul_address
        return self._ask(method, f"{address}/v1/{path}", {"X-Consul-Token": token}, body)

    def vault(self, method: str, path: str, body: Any = None) -> requests.Response:
        # beside the folders that the container is given: only Nomad reads it
        token = (self.folder / "private" / "vault_token").read_text()
        address = self.stack.vault_address
        return self._ask(method, f"{address}/v1/{path}", {"X-Vault-Token": token}, body)

    def _ask(self, method: str, url: str, headers: dict[str, str], body: Any) -> requests.Response:
        return requests.request(method, url, headers=headers, json=body, timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp(FLEET)
    with know_author():
        made = make_fleet(stack, folder, FLEET, 4303)
        made.write("companies/zorro.yaml", "name: Zorro Ltda.\n")
        for number, key in enumerate(UNITS[:3], 1):
            made.write_box(*key.split("/"), f"{number}01")
        made.merge_change("two companies")
    try:
        assert made.sync().is_clean
        yield made
    finally:
        Holdings(FLEET, stack.environment()).remove(folder / "log")


@pytest.fixture(params=UNITS)
def identity(request: pytest.FixtureRequest, fleet: Fleet, stack: Stack) -> Identity:
    names = fleet.names(request.param)
    allocations = Holdings(FLEET, stack.environment()).list_allocations()
    [own] = [
        one["ID"] for one in allocations if one["JobID"] == names.job_id and one["ClientStatus"] == "running"
    ]
    task = "overlay" if names.is_lighthouse else "pbx"
    return Identity(names, own, task, stack.state / "nomad" / "data" / "alloc" / own / task, stack)


@pytest.fixture
def others(identity: Identity, fleet: Fleet) -> list[UnitNames]:
    return [fleet.names(key) for key in UNITS if key != identity.names.key]


def test_its_own_value_and_document_are_read(identity: Identity) -> None:
    """The control: these very tokens are good."""
    value = identity.consul("GET", f"kv/{identity.names.kv_key}?raw")
    assert value.status_code == 200 and "secrets_version" in value.json()
    document = identity.vault("GET", identity.names.vault_path)
    assert document.status_code == 200 and "key" in document.json()["data"]["data"]["overlay"]


def test_anothers_value_is_not_read(identity: Identity, others: list[UnitNames], fleet: Fleet) -> None:
    places = [other.kv_key for other in others]
    places += [f"riti/{FLEET}/inventory/{key}" for key in (*UNITS, "_fleet")]
    for place in places:
        assert identity.consul("GET", f"kv/{place}").status_code == 403, place
        assert identity.consul("GET", f"kv/{place}?raw").status_code == 403, place


@pytest.mark.parametrize("prefix", ["", "riti/", f"riti/{FLEET}/", f"riti/{FLEET}/pbx/"])
def test_a_prefix_shows_its_own_value_and_the_turns_of_its_company_only(
    identity: Identity, prefix: str
) -> None:
    own, turns = identity.names.kv_key, f"riti/{FLEET}/generation/{identity.names.company}/"

    def is_own(key: str) -> bool:
        return key == own or key.startswith(turns)

    for listed in (
        identity.consul("GET", f"kv/{prefix}?keys").json(),
        [one["Key"] for one in identity.consul("GET", f"kv/{prefix}?recurse").json()],
    ):
        assert own in listed and all(map(is_own, listed)), listed


def test_no_other_document_is_read(identity: Identity, others: list[UnitNames], fleet: Fleet) -> None:
    held = Holdings(FLEET, fleet.management).read_documents()
    paths = [f"{FLEET}/{path}" for path in held if f"{FLEET}/{path}" != identity.names.document]
    assert {other.document for other in others} | {f"{FLEET}/overlay/ca"} < set(paths)
    for path in paths:
        for kind in ("data", "metadata", "subkeys"):
            assert identity.vault("GET", f"riti/{kind}/{path}").status_code == 403, path
    for folder in ("", f"{FLEET}/", f"{FLEET}/pbx/", f"{FLEET}/pbx/acme/"):
        assert identity.vault("LIST", f"riti/metadata/{folder}").status_code == 403, folder


def test_no_secret_is_computed_or_borrowed(identity: Identity, others: list[UnitNames]) -> None:
    """Neither the key of all pair secrets nor another's role, policy or token is within reach."""
    asked: list[Request] = [
        ("POST", f"riti-transit/hmac/{FLEET}", {"input": "eA=="}),
        ("GET", f"riti-transit/keys/{FLEET}", None),
        ("POST", "auth/token/create", {"policies": [others[0].role]}),
        ("GET", "sys/policies/acl", None),
    ]
    for other in others:
        asked += [
            ("GET", f"auth/jwt-nomad/role/{other.role}", None),
            ("GET", f"sys/policies/acl/{other.role}", None),
        ]
    for method, path, body in asked:
        assert identity.vault(method, path, body).status_code == 403, path
    for path in ("acl/tokens", "acl/policies", "acl/roles", "acl/binding-rules"):
        answer = identity.consul("GET", path)
        assert answer.status_code == 403 or answer.json() == [], path
    body = {"Policies": [{"Name": others[0].role}]}
    assert identity.consul("PUT", "acl/token", body).status_code == 403


def test_nothing_is_written(identity: Identity, fleet: Fleet) -> None:
    """Not even what is its own: only the controller writes."""
    names, holdings = identity.names, Holdings(FLEET, fleet.management)
    before = holdings.dump()
    policy = {"policy": 'path "riti/*" { capabilities = ["read"] }'}
    to_vault: list[Request] = [
        ("POST", names.vault_path, {"data": {}, "options": {"cas": 1}}),
        ("DELETE", names.vault_path, None),
        ("DELETE", names.vault_path.replace("/data/", "/metadata/"), None),
        ("POST", f"sys/policies/acl/{names.role}", policy),
        ("POST", f"auth/jwt-nomad/role/{names.role}", {"token_policies": ["root"]}),
    ]
    for method, path, body in to_vault:
        assert identity.vault(method, path, body).status_code == 403, (method, path)
    entry = {"Verb": "set", "Key": names.kv_key, "Value": "eA=="}
    to_consul: list[Request] = [
        ("PUT", f"kv/{names.kv_key}", "x"),
        ("DELETE", f"kv/{names.kv_key}", None),
        ("DELETE", "kv/riti/?recurse", None),
        ("PUT", "session/create", {}),
        ("PUT", "agent/service/register", {"Name": "any"}),
    ]
    for method, path, body in to_consul:
        assert identity.consul(method, path, body).status_code == 403, (method, path)
    # a transaction's only status for whatever went wrong in it is 409
    refused = identity.consul("PUT", "txn", [{"KV": entry}])
    assert refused.status_code in (403, 409) and "ermission" in refused.text
    assert holdings.dump() == before


def test_the_task_itself_holds_no_token_of_vault(identity: Identity) -> None:
    token = (identity.folder / "private" / "vault_token").read_text()
    given = [
        path
        for name in ("local", "secrets")
        for path in (identity.folder / name).rglob("*")
        if path.is_file()
    ]
    assert given
    assert not [path for path in given if token in path.read_text(errors="replace")]
    settings = docker.DockerClient(identity.stack.docker_host).containers.get(
        f"{identity.task}-{identity.allocation}"
    )
    assert token not in str(settings.attrs)
    assert not [one for one in settings.attrs["Mounts"] if "private" in one["Source"]]
