"""Tokens that are wrong, that end mid-run, that are deleted, or that see a part only: nothing is taken for empty."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.sync.lead.rights import Rights
from ritilib.sync.observe import Places
from tests.faults.failing import ADDRESSES, Exchange
from tests.faults.outages import DEADLINE_S, SALTO, Served, hold_served
from tests.faults.rows import SERVERS
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet

CONSUL, NOMAD, VAULT, LOST = SERVERS[:4]
ROW_OF = {"Consul": CONSUL, "Nomad": NOMAD, "Vault": VAULT}
NAME = "tokens"
RIGHTS = Rights(NAME)


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp(NAME), NAME, 4331) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


def each_server() -> list[pytest.ParameterSet]:
    return [pytest.param(one, marks=pytest.mark.row(ROW_OF[one]), id=one) for one in ADDRESSES]


def read_lead(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.servers.ask("CONSUL_HTTP", "GET", f"kv/{RIGHTS.lock}?raw").json()
    return found


def revoke(served: Served, server: str) -> None:
    """End the leader's token at one server, as time would."""
    for accessor in read_lead(served)["tokens"][server.lower()]:
        if server == "Nomad":
            served.servers.ask("NOMAD", "DELETE", f"acl/token/{accessor}")
        elif server == "Consul":
            served.servers.ask("CONSUL_HTTP", "DELETE", f"acl/token/{accessor}")
        else:
            served.servers.ask("VAULT", "POST", "auth/token/revoke-accessor", {"accessor": accessor})


@pytest.mark.parametrize("server", each_server())
def test_a_leaders_token_that_ended_is_followed_by_another_leadership(
    served: Served, witness: Witness, server: str
) -> None:
    served.begin_call(witness)
    epoch = read_lead(served)["epoch"]
    revoke(served, server)
    served.wait_applied(served.merge_and_tell())
    assert read_lead(served)["epoch"] == epoch + 1
    served.assert_alive()


@pytest.mark.parametrize("server", each_server())
def test_a_token_that_ends_in_the_midst_of_a_unit(served: Served, witness: Witness, server: str) -> None:
    """Right after the first write of a merge, which is the unit's intent."""
    served.begin_call(witness)
    ended: list[str] = []

    def end_and_pass(exchange: Exchange) -> None:
        answer = exchange.ask()
        if not ended:
            ended.append(server)
            revoke(served, server)
        exchange.say(answer.status_code, answer.headers["Content-Type"], answer.content)

    with served.relays["Consul"].fail(end_and_pass, lambda method, path: method == "PUT" and "/txn" in path):
        served.wait_applied(served.merge_and_tell())
    assert ended
    served.assert_alive()


@pytest.mark.parametrize("server", ["Consul", "Vault"])
@pytest.mark.row(LOST)
def test_a_controller_with_a_wrong_token_says_so_and_does_nothing(
    served: Served, witness: Witness, server: str
) -> None:
    served.begin_call(witness)
    served.controller.process.terminate()
    assert served.controller.process.wait(DEADLINE_S) == 0
    held = served.servers.read_state()
    variable = {"Consul": "CONSUL_HTTP_TOKEN", "Vault": "VAULT_TOKEN"}[server]
    served.start({variable: str(uuid.uuid4())})
    commit = served.merge()
    served.wait_told(f"{server} denied", 0)
    wait_ready(served, f"{server} refused the token")
    served.assert_alive()
    assert without_lead(served.servers.read_state().things) == without_lead(held.things)
    served.controller.end()
    served.start()
    served.wait_applied(commit)


@pytest.mark.row(NOMAD)
def test_a_wrong_token_for_nomad(served: Served, witness: Witness) -> None:
    """The one by which a leader gets its own lies in Vault; it is read at each election."""
    served.begin_call(witness)
    path = f"riti/data/{RIGHTS.nomad_document}"
    right = served.servers.get("VAULT", path)["data"]
    begun = served.count_lines()

    def write(token: str) -> None:
        version = served.servers.get("VAULT", path)["data"]["metadata"]["version"]
        body = {"data": {**right["data"], "token": token}, "options": {"cas": version}}
        served.servers.ask("VAULT", "POST", path, body)

    write(str(uuid.uuid4()))
    witness.foreign.discard(f"document {RIGHTS.nomad_document}")
    revoke(served, "Nomad")
    commit = served.merge_and_tell()
    served.wait_told("Nomad denied", begun)
    wait_ready(served, "Nomad refused the token")
    write(right["data"]["token"])
    witness.hand[f"document {RIGHTS.nomad_document}"] = served.servers.read_state().things[
        f"document {RIGHTS.nomad_document}"
    ]
    served.wait_applied(commit)
    served.assert_alive()


@pytest.mark.row(LOST)
def test_all_tokens_of_consul_are_deleted_and_the_standing_one_is_made_again(
    served: Served, witness: Witness
) -> None:
    served.begin_call(witness)
    secret = served.fleet.controller["CONSUL_HTTP_TOKEN"]
    ask = served.servers.ask
    found = ask("CONSUL_HTTP", "GET", "acl/tokens").json()
    ours = {RIGHTS.leader, RIGHTS.candidate}
    begun = served.count_lines()
    for one in found:
        if ours & {link["Name"] for link in one.get("Policies") or ()}:
            ask("CONSUL_HTTP", "DELETE", f"acl/token/{one['AccessorID']}")
    commit = served.merge_and_tell()
    served.wait_told("Consul denied", begun)
    wait_ready(served, "Consul refused the token")
    served.assert_alive()
    ask("CONSUL_HTTP", "PUT", "acl/token", {"SecretID": secret, "Policies": [{"Name": RIGHTS.candidate}]})
    served.wait_applied(commit)


@pytest.mark.parametrize(
    "hidden",
    [
        f'key "riti/{NAME}/inventory/{SALTO}" {{ policy = "deny" }}',
        f'key_prefix "riti/{NAME}/inventory/" {{ policy = "deny" }}',
        f'key_prefix "riti/{NAME}/pbx/" {{ policy = "deny" }}',
        f'key "riti/{NAME}/inventory/_fleet" {{ policy = "deny" }}',
    ],
    ids=["one entry", "the inventory", "the values", "the fleet's own entry"],
)
@pytest.mark.row(CONSUL)
def test_a_part_of_the_keys_is_not_taken_for_all(served: Served, witness: Witness, hidden: str) -> None:
    """Consul leaves out what a token may not read, and answers 200, or 404 where that is all."""
    served.begin_call(witness)
    held = served.servers.read_state()
    begun = served.count_lines()
    with hold_consul_policy(served, lambda rules: f"{hidden}\n{rules}"):
        commit = served.merge_and_tell()
        served.wait_told("the token sees only a part of them", begun)
        wait_ready(served, "Consul refused the token")
        served.assert_alive()
        now = served.servers.read_state()
        assert {name: one for name, one in without_lead(now.things).items() if "policy" not in name} == {
            name: one for name, one in without_lead(held.things).items() if "policy" not in name
        }
    served.wait_applied(commit)


@pytest.mark.row(NOMAD)
def test_jobs_that_may_not_be_listed(served: Served, witness: Witness) -> None:
    served.begin_call(witness)
    policy = served.servers.get("NOMAD", f"acl/policy/{RIGHTS.leader}")
    body = {"Name": policy["Name"], "Description": policy["Description"]}
    begun = served.count_lines()
    narrow = 'node {\n  policy = "read"\n}\n'
    served.servers.ask("NOMAD", "POST", f"acl/policy/{RIGHTS.leader}", {**body, "Rules": narrow})
    try:
        commit = served.merge_and_tell()
        served.wait_told("Nomad denied", begun)
        wait_ready(served, "Nomad refused the token")
    finally:
        rules = {**body, "Rules": policy["Rules"]}
        served.servers.ask("NOMAD", "POST", f"acl/policy/{RIGHTS.leader}", rules)
    served.wait_applied(commit)
    served.assert_alive()


@contextmanager
def hold_consul_policy(served: Served, change: Callable[[str], str]) -> Iterator[None]:
    """The leader's rights in Consul changed by a hand, while the context lasts."""
    ask = served.servers.ask
    policy = ask("CONSUL_HTTP", "GET", f"acl/policy/name/{RIGHTS.leader}").json()
    body = {name: policy[name] for name in ("ID", "Name", "Description")}
    path = f"acl/policy/{policy['ID']}"
    ask("CONSUL_HTTP", "PUT", path, {**body, "Rules": change(policy["Rules"])})
    try:
        yield
    finally:
        ask("CONSUL_HTTP", "PUT", path, {**body, "Rules": policy["Rules"]})


def wait_ready(served: Served, lack: str) -> None:
    """Until it says that it is not ready, and why."""

    def is_told() -> bool:
        ready = served.controller.ask("readyz")
        return ready.status_code == 503 and lack in ready.text

    wait_until(is_told, DEADLINE_S, f"waiting for readyz to say `{lack}`", served.controller.log)


def without_lead(things: Any) -> dict[str, Any]:
    """What is no election's, nor the commit that is to be applied, which a leader notes first, nor its report."""
    others = {f"key {RIGHTS.lock}", f"key {Places(NAME).accepted}", f"key {Places(NAME).status}"}
    return {name: one for name, one in things.items() if name not in others}
