"""Tokens that can be taken back: each server knows them at once, and knows them no more at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.settings import Settings
from ritilib.clients.vault import Vault
from ritilib.errors import Denied, LeadershipLost, ServerError

TTL_S = 600
GONE = "00000000-0000-0000-0000-00000000dead"
NOMAD_RULES = 'namespace "default" {\n  capabilities = ["list-jobs"]\n}\n'


@pytest.fixture
def policy(nomad: NomadClient, consul: ConsulClient, vault: VaultClient, fleet: str) -> str:
    """A policy of this name at each server, and a role in Vault for it."""
    name = f"riti-{fleet}"
    nomad.put_policy(name, NOMAD_RULES, f"riti {fleet}")
    consul.put_policy(name, f'key_prefix "riti/{fleet}/" {{\n  policy = "write"\n}}\n', f"riti {fleet}")
    vault.put_policy(name, f'path "riti/data/{fleet}/*" {{\n  capabilities = ["create", "read"]\n}}\n')
    role = {"allowed_policies": [name], "orphan": False, "renewable": False, "token_type": "service"}
    wanted = {**role, "token_explicit_max_ttl": TTL_S}
    assert vault.put_token_role(name, wanted) is True
    assert vault.put_token_role(name, wanted) is False
    return name


def test_issued_listed_and_revoked_in_nomad(nomad: NomadClient, policy: str) -> None:
    first, second = (nomad.issue_token((policy,), "leader", TTL_S) for _ in range(2))
    nomad.issue_token((f"{policy}-2",), "another", TTL_S)
    assert nomad.has_token(first.secret, (policy,))
    assert nomad.list_tokens(policy) == tuple(sorted((first.accessor, second.accessor)))
    nomad.revoke_token(first.accessor)
    nomad.revoke_token(first.accessor)
    nomad.revoke_token(GONE)
    assert not nomad.has_token(first.secret, (policy,))
    assert nomad.list_tokens(policy) == (second.accessor,)


def test_a_management_token_is_known_as_one(nomad: NomadClient, policy: str) -> None:
    made, narrow = nomad.issue_management_token("election"), nomad.issue_token((policy,), "leader", TTL_S)
    assert nomad.is_management(made.secret)
    assert not nomad.is_management(narrow.secret)
    assert not nomad.is_management(GONE)
    nomad.revoke_token(made.accessor)
    assert not nomad.is_management(made.secret)


def test_issued_listed_and_revoked_in_consul(consul: ConsulClient, policy: str) -> None:
    assert consul.list_tokens(f"{policy}-2") == ()
    first, second = (consul.issue_token((policy,), "leader", TTL_S) for _ in range(2))
    assert consul.has_token(first.secret, (policy,))
    assert consul.list_tokens(policy) == tuple(sorted((first.accessor, second.accessor)))
    consul.revoke_token(first.accessor)
    consul.revoke_token(first.accessor)
    consul.revoke_token(GONE)
    assert not consul.has_token(first.secret, (policy,))
    assert consul.list_tokens(policy) == (second.accessor,)


def test_issued_and_revoked_in_vault(vault: VaultClient, policy: str) -> None:
    issued = vault.issue_token(policy, "leader", TTL_S)
    assert vault.has_token(issued.secret, (policy,))
    vault.revoke_token(issued.accessor)
    vault.revoke_token(issued.accessor)
    vault.revoke_token(GONE)
    assert not vault.has_token(issued.secret, (policy,))
    with pytest.raises(ServerError):
        vault.issue_token(f"{policy}-2", "leader", TTL_S)


def test_a_token_is_not_shown(
    nomad: NomadClient, consul: ConsulClient, vault: VaultClient, policy: str
) -> None:
    for issued in (
        nomad.issue_token((policy,), "leader", TTL_S),
        consul.issue_token((policy,), "leader", TTL_S),
        vault.issue_token(policy, "leader", TTL_S),
    ):
        assert issued.secret not in repr(issued)


@pytest.mark.parametrize("kind", ["real"])
def test_a_child_in_vault_ends_with_its_parent(settings: Settings, vault: VaultClient, policy: str) -> None:
    vault.put_policy(
        f"{policy}-candidate", f'path "auth/token/create/{policy}" {{\n  capabilities = ["update"]\n}}\n'
    )
    parent = vault.create_token((f"{policy}-candidate",), "candidate")
    other = Vault(replace(settings, vault=replace(settings.vault, token=parent)))
    child = other.issue_token(policy, "leader", TTL_S)
    assert vault.has_token(child.secret, (policy,))
    with pytest.raises(Denied):
        other.revoke_token(child.accessor)
    Vault(replace(settings, vault=replace(settings.vault, token=parent)))._client.auth.token.revoke_self()
    assert not vault.has_token(child.secret, (policy,))


CALLS: dict[str, tuple[Callable[[Settings], object], Callable[[Settings], object]]] = {
    "nomad": (
        lambda settings: Nomad(settings).list_jobs("x"),
        lambda settings: Nomad(settings).put_policy("riti-x", "", "riti x"),
    ),
    "consul": (
        lambda settings: Consul(settings).read("x"),
        lambda settings: Consul(settings).write("riti/x/guarded", b"", 0),
    ),
    "vault": (
        lambda settings: Vault(settings).read_document("x"),
        lambda settings: Vault(settings).put_policy("riti-x", ""),
    ),
}


@pytest.mark.parametrize("server", sorted(CALLS))
def test_what_guards_a_server_is_asked_before_each_write(settings: Settings, server: str) -> None:
    """And where it refuses, nothing is sent: the server's state would be there otherwise."""

    def refuse() -> None:
        raise LeadershipLost.because("another leads", "leave it")

    guarded = Settings(**{name: replace(one, guard=refuse) for name, one in vars(settings).items()})
    read, write = CALLS[server]
    read(guarded)
    with pytest.raises(LeadershipLost):
        write(guarded)
    assert Consul(settings).read("riti/x/guarded") is None
