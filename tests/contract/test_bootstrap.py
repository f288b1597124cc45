"""Bootstrap, on fakes and on real servers: once, again without a write, and the tokens' narrow rights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.nomad_values import TemplateRetries
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.settings import Settings, read_settings
from ritilib.clients.vault import Vault
from ritilib.devstack.stack import Stack
from ritilib.errors import Conflict, Denied
from ritilib.sync.lead.bootstrap import AUTH_METHOD, Bootstrapped, bootstrap, judge_retries
from ritilib.sync.lead.election import Candidate, take_lead
from ritilib.sync.lead.rights import Rights
from ritilib.sync.observe import Places
from ritilib.sync.unit.apply import JWT_MOUNT
from tests.contract.test_nomad import make_hcl
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.fakes.nomad import FakeNomad
from tests.fakes.vault import FakeVault

VAULT_RULES = 'path "riti/data/x" {\n  capabilities = ["read"]\n}\n'


@dataclass
class Servers:
    nomad: NomadClient
    consul: ConsulClient
    vault: VaultClient
    jwks_url: str
    overlay: OverlayTool

    def bootstrap(self, fleet: str, previous: dict[str, str] | None = None) -> Bootstrapped:
        said: list[str] = []
        arguments = (self.nomad, self.consul, self.vault, self.overlay, fleet, f"id-{fleet}")
        return bootstrap(*arguments, self.jwks_url, previous, said.append)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def servers(kind: str, journal: Journal, stack: Stack, env: dict[str, str]) -> Servers:
    overlay = OverlayTool(Path(stack.nebula_cert))
    if kind == "fake":
        return Servers(
            FakeNomad(journal), FakeConsul(journal), FakeVault(journal), "https://fake.invalid/jwks", overlay
        )
    settings = read_settings(env)
    return Servers(Nomad(settings), Consul(settings), Vault(settings), stack.jwks_url, overlay)


@pytest.fixture
def wide_rule(servers: Servers, fleet: str) -> Iterator[None]:
    """The binding rule that `nomad setup consul` makes, for the time of one test."""
    servers.bootstrap(fleet)
    wide = ("role", "nomad-${value.nomad_namespace}-tasks", '"nomad_service" not in value', "not ours")
    servers.consul.put_binding_rule(AUTH_METHOD, *wide)
    yield
    if isinstance(servers.consul, Consul):
        (rule,) = (
            one for one in servers.consul.list_binding_rules(AUTH_METHOD) if one.description == "not ours"
        )
        servers.consul._client.acl.binding_rule.delete(rule.id)


def test_a_second_bootstrap_keeps_tokens_and_authority(
    servers: Servers, fleet: str, journal: Journal
) -> None:
    first = servers.bootstrap(fleet)
    authority = servers.vault.read_document(f"{fleet}/overlay/ca")
    secret = servers.vault.compute_hmac(fleet, "x")
    written = len(journal.writes)
    second = servers.bootstrap(fleet, first.environment())
    assert second == first
    assert servers.vault.read_document(f"{fleet}/overlay/ca") == authority
    assert servers.vault.compute_hmac(fleet, "x") == secret
    assert len(journal.writes) == written


def test_lost_tokens_are_made_again(servers: Servers, fleet: str) -> None:
    first = servers.bootstrap(fleet)
    second = servers.bootstrap(fleet, {"NOMAD_TOKEN": first.nomad_token, "VAULT_TOKEN": "unknown"})
    assert second.nomad_token == first.nomad_token
    assert second.consul_token != first.consul_token
    assert second.vault_token not in ("unknown", first.vault_token)


def test_tokens_are_not_shown(servers: Servers, fleet: str) -> None:
    made = servers.bootstrap(fleet)
    for token in made.environment().values():
        assert token not in repr(made)


def test_the_authority_signs(servers: Servers, fleet: str) -> None:
    servers.bootstrap(fleet)
    document = servers.vault.read_document(f"{fleet}/overlay/ca")
    assert document is not None
    certificate = servers.overlay.read_certificate(document.data["crt"])
    assert certificate.is_authority
    assert "PRIVATE KEY" in document.data["key"]


def test_a_wider_binding_rule_is_refused(servers: Servers, fleet: str, wide_rule: None) -> None:
    with pytest.raises(Conflict, match="nomad_namespace"):
        servers.bootstrap(fleet)


@pytest.mark.parametrize("kind", ["real"])
def test_a_leaders_tokens_do_its_work_and_no_more(servers: Servers, fleet: str, env: dict[str, str]) -> None:
    standing = read_settings({**env, **servers.bootstrap(fleet).environment()})
    with take_lead(Candidate(standing, fleet, "test", keep_silent)) as leadership:
        do_the_work(leadership.settings, fleet)


def do_the_work(settings: Settings, fleet: str) -> None:
    nomad, consul, vault = Nomad(settings), Consul(settings), Vault(settings)
    name, mark = f"pbx-{fleet}--c--b", f"riti id-{fleet} c/b"
    vault.write_document(f"{fleet}/pbx/c/b", {"iax": {}}, 0)
    assert vault.read_document(f"{fleet}/pbx/c/b") is not None
    vault.compute_hmac(fleet, "x")
    vault.put_policy(name, VAULT_RULES)
    vault.put_role(
        JWT_MOUNT, name, {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault.io"]}
    )
    consul.write(f"riti/{fleet}/pbx/c/b/1", b"{}", 0)
    consul.put_policy(name, "", mark)
    consul.put_role(name, (name,), mark)
    job = nomad.parse(make_hcl(f"{fleet}--c--b"))
    registered = nomad.register(job, nomad.plan(job).modify_index)
    assert nomad.wait_deployed(job["ID"], registered.modify_index, 120.0).status == "successful"
    assert nomad.list_allocations(job["ID"])[0].client_status == "running"
    nomad.stop_job(job["ID"], registered.modify_index)
    for forbidden in (
        lambda: vault.read_document("another/pbx/c/b"),
        lambda: vault.write_document("another/pbx/c/b", {}, 0),
        lambda: vault.compute_hmac("another", "x"),
        lambda: vault.put_policy("another", ""),
        lambda: vault.put_role(JWT_MOUNT, "another", {"user_claim": "sub"}),
        lambda: consul.read("riti/another/pbx/c/b/1"),
        lambda: consul.write("riti/another/pbx/c/b/1", b"", 0),
        lambda: nomad.put_policy("another", "", mark),
        lambda: nomad.create_token((), "another"),
        lambda: vault.read_document(Rights(fleet).nomad_document),
        lambda: vault.issue_token(Rights(fleet).leader, "another", 600),
        lambda: consul.write(Rights(fleet).lock, b"", 1),
        lambda: consul.create_session("another", 600, 0),
    ):
        with pytest.raises(Denied):
            forbidden()


@pytest.mark.parametrize("kind", ["real"])
def test_a_candidates_tokens_read_and_pass_hooks_on_and_write_nothing_else(
    servers: Servers, fleet: str, env: dict[str, str]
) -> None:
    settings = read_settings({**env, **servers.bootstrap(fleet).environment()})
    nomad, consul, vault = Nomad(settings), Consul(settings), Vault(settings)
    job = nomad.parse(make_hcl(f"{fleet}--c--b"))
    assert nomad.list_jobs(f"{fleet}--").jobs == ()
    assert consul.read_tree(f"riti/{fleet}/").entries == ()
    consul.write(Places(fleet).wake, b"{}", 0)
    for forbidden in (
        lambda: consul.write(f"{Places(fleet).wake}/more", b"{}", 0),
        lambda: nomad.register(job, 0),
        lambda: nomad.put_policy("another", "", f"riti id-{fleet}"),
        lambda: nomad.revoke_token("00000000-0000-0000-0000-00000000dead"),
        lambda: consul.write(f"riti/{fleet}/pbx/c/b/1", b"{}", 0),
        lambda: consul.write("riti/another/leader", b"{}", 0),
        lambda: vault.read_document(f"{fleet}/pbx/c/b"),
        lambda: vault.read_document("_leader/another"),
        lambda: vault.write_document(Rights(fleet).nomad_document, {}, 1),
        lambda: vault.write_document(f"{fleet}/pbx/c/b", {}, 0),
        lambda: vault.compute_hmac(fleet, "x"),
        lambda: vault.put_policy(f"pbx-{fleet}--c--b", VAULT_RULES),
        lambda: vault.issue_token("riti-another", "another", 600),
    ):
        with pytest.raises(Denied):
            forbidden()


def test_a_lost_election_right_is_made_again(servers: Servers, fleet: str) -> None:
    servers.bootstrap(fleet)
    held = servers.vault.read_document(Rights(fleet).nomad_document)
    assert held is not None and servers.nomad.is_management(held.data["token"])
    servers.nomad.revoke_token(held.data["accessor"])
    servers.bootstrap(fleet)
    made = servers.vault.read_document(Rights(fleet).nomad_document)
    assert made is not None and servers.nomad.is_management(made.data["token"])
    assert made.version == held.version + 1


def keep_silent(_: str) -> None:
    """A report that nobody reads."""


def test_nodes_whose_templates_give_up_are_refused() -> None:
    found = [
        TemplateRetries("good", 0, 0, 0),
        TemplateRetries("default", 12, 12, 12),
        TemplateRetries("half", 0, 5, 0),
        TemplateRetries("silent", None, None, None),
    ]
    said = [str(problem) for problem in judge_retries(found)]
    assert [line.split()[1] for line in said] == ["default", "half", "silent"]
    assert "Consul, Vault, Nomad is away" in said[0]
    assert "one of Vault is away" in said[1]


def test_the_stacks_node_never_gives_up(stack: Stack) -> None:
    found = Nomad(read_settings(stack.environment())).list_template_retries()
    assert [(one.consul, one.vault, one.nomad) for one in found] == [(0, 0, 0)]
    assert [one.longest_end_s for one in found] == [3600.0]


def test_an_agent_with_consuls_default_limit_is_warned_of(stack: Stack) -> None:
    consul, said = FakeConsul(), []
    overlay = OverlayTool(Path(stack.nebula_cert))
    for limit in (0, 100, 200, 16384):
        consul.connection_limit = limit
        bootstrap(
            FakeNomad(),
            consul,
            FakeVault(),
            overlay,
            "f",
            "id-f",
            "https://fake.invalid/jwks",
            None,
            said.append,
        )
    warned = [line for line in said if "http_max_conns_per_client" in line]
    assert ["100 connections" in line for line in warned] == [True, False]
    assert "200 connections" in warned[1]
