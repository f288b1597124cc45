"""What sync relies on in Vault: versions with compare-and-set, deletion, stable HMACs, idempotent writes."""

from __future__ import annotations

import re
from collections.abc import Callable

import hvac
import pytest

from ritilib.clients.protocols import VaultClient
from ritilib.clients.settings import Settings
from ritilib.clients.vault import KV_MOUNT, Vault
from ritilib.errors import Conflict, ServerError
from tests.fakes.vault import FakeVault

TEXT = 'path "riti/data/{}/*" {{\n  capabilities = ["read"]\n}}\n'
ROLE = {
    "role_type": "jwt",
    "bound_audiences": ["vault.io"],
    "bound_claims": {"nomad_job_id": "f--c--b", "nomad_namespace": "default"},
    "user_claim": "/nomad_job_id",
    "user_claim_json_pointer": True,
    "claim_mappings": {"nomad_job_id": "nomad_job_id"},
    "token_type": "service",
    "token_policies": ["pbx-f--c--b"],
    "token_period": 1800,
}


@pytest.fixture
def delete(kind: str, vault: VaultClient, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Deletes the latest version of a document, as a person would."""
    if isinstance(vault, FakeVault):
        return vault.delete_latest
    env = request.getfixturevalue("env")
    person = hvac.Client(url=env["VAULT_ADDR"], token=env["VAULT_TOKEN"])
    person.session.trust_env = False
    return lambda path: person.secrets.kv.v2.delete_latest_version_of_secret(path, mount_point=KV_MOUNT)


@pytest.fixture
def jwks_url(kind: str, request: pytest.FixtureRequest) -> str:
    """The real Vault fetches the keys as soon as it is told where they are."""
    return "https://fake.invalid/jwks" if kind == "fake" else str(request.getfixturevalue("stack").jwks_url)


def test_an_absent_document_is_none(vault: VaultClient, fleet: str) -> None:
    assert vault.read_document(f"{fleet}/pbx/c/b") is None


def test_a_write_is_read_back_with_its_version(vault: VaultClient, fleet: str) -> None:
    path, data = f"{fleet}/pbx/c/b", {"iax": {"c/salto": "s"}, "overlay": {"key": "-----\nx\n"}, "n": 1}
    assert vault.write_document(path, data, 0) == 1
    document = vault.read_document(path)
    assert document is not None
    assert (document.version, document.data) == (1, data)
    assert vault.write_document(path, {"iax": {}}, 1) == 2
    document = vault.read_document(path)
    assert document is not None
    assert (document.version, document.data) == (2, {"iax": {}})


def test_the_second_creator_and_the_stale_writer_lose(vault: VaultClient, fleet: str) -> None:
    path = f"{fleet}/pbx/c/b"
    vault.write_document(path, {"a": 1}, 0)
    with pytest.raises(Conflict):
        vault.write_document(path, {"a": 2}, 0)
    vault.write_document(path, {"a": 3}, 1)
    for stale in (1, 7):
        with pytest.raises(Conflict):
            vault.write_document(path, {"a": 4}, stale)
    document = vault.read_document(path)
    assert document is not None and document.data == {"a": 3}


def test_a_deleted_document_is_none_and_can_be_made_again(
    vault: VaultClient, fleet: str, delete: Callable[[str], None]
) -> None:
    path = f"{fleet}/pbx/c/b"
    vault.write_document(path, {"a": 1}, 0)
    delete(path)
    assert vault.read_document(path) is None
    assert vault.write_document(path, {"a": 2}, 0) == 2
    with pytest.raises(Conflict):
        vault.write_document(path, {"a": 3}, 0)


def test_a_document_is_deleted_with_all_its_versions_and_goes_on_after_the_last(
    vault: VaultClient, fleet: str
) -> None:
    path, other = f"{fleet}/pbx/c/b", f"{fleet}/pbx/c/b-2"
    vault.write_document(other, {"a": 0}, 0)
    vault.write_document(path, {"a": 1}, 0)
    vault.write_document(path, {"a": 2}, 1)
    assert vault.delete_document(path) is True
    assert vault.read_document(path) is None
    assert vault.delete_document(path) is False
    assert vault.delete_document(f"{fleet}/pbx/c/never") is False
    assert vault.read_document(other) is not None
    assert vault.write_document(path, {"a": 3}, 0) == 3


def test_a_deleted_document_is_hidden_in_every_version_and_destroyed_in_none(
    settings: Settings, fleet: str, env: dict[str, str]
) -> None:
    vault, path = Vault(settings), f"{fleet}/pbx/c/b"
    vault.enable_kv(KV_MOUNT)
    vault.write_document(path, {"a": 1}, 0)
    vault.write_document(path, {"a": 2}, 1)
    vault.delete_document(path)
    person = hvac.Client(url=env["VAULT_ADDR"], token=env["VAULT_TOKEN"])
    person.session.trust_env = False
    held = person.secrets.kv.v2.read_secret_metadata(path, mount_point=KV_MOUNT)["data"]["versions"]
    assert [(bool(one["deletion_time"]), one["destroyed"]) for one in held.values()] == [(True, False)] * 2
    person.secrets.kv.v2.undelete_secret_versions(path, [2], mount_point=KV_MOUNT)
    document = vault.read_document(path)
    assert document is not None and document.data == {"a": 2}


def test_a_document_hides_its_data_when_it_is_shown(vault: VaultClient, fleet: str) -> None:
    vault.write_document(f"{fleet}/x", {"secret": "hush"}, 0)
    assert "hush" not in repr(vault.read_document(f"{fleet}/x"))


def test_an_hmac_is_the_same_for_the_same_text_and_key(vault: VaultClient, fleet: str) -> None:
    assert vault.create_transit_key(fleet) is True
    assert vault.create_transit_key(fleet) is False
    first = vault.compute_hmac(fleet, "a\nb")
    assert first == vault.compute_hmac(fleet, "a\nb")
    assert first != vault.compute_hmac(fleet, "a\nc")
    assert re.fullmatch("[0-9a-f]{64}", first)  # it becomes a secret in Asterisk's files
    assert vault.compute_hmacs(fleet, []) == {}
    both = vault.compute_hmacs(fleet, ["a\nb", "a\nc"])
    assert vault.compute_hmacs(fleet, []) == {}
    assert both == {"a\nb": first, "a\nc": vault.compute_hmac(fleet, "a\nc")}
    assert vault.compute_hmacs(fleet, []) == {}
    vault.create_transit_key(f"{fleet}-2")
    assert first != vault.compute_hmac(f"{fleet}-2", "a\nb")


def test_a_missing_key_is_an_error(vault: VaultClient, fleet: str) -> None:
    with pytest.raises(ServerError):
        vault.compute_hmac(fleet, "a")


def test_what_is_taken_for_new_and_is_not_is_compared(vault: VaultClient, fleet: str, jwks_url: str) -> None:
    vault.enable_jwt(f"jwt-{fleet}", jwks_url)
    name = f"pbx-{fleet}"
    assert [vault.put_policy(name, TEXT.format(one), is_new=True) for one in (1, 1, 2)] == [True, False, True]
    vault.put_role(f"jwt-{fleet}", "pbx", ROLE, is_new=True)
    assert vault.put_role(f"jwt-{fleet}", "pbx", ROLE) is False
    vault.put_role(f"jwt-{fleet}", "pbx", {**ROLE, "token_period": 900}, is_new=True)
    assert vault.put_role(f"jwt-{fleet}", "pbx", {**ROLE, "token_period": 900}) is False


def test_policies_and_roles_are_written_once(vault: VaultClient, fleet: str, jwks_url: str) -> None:
    vault.enable_jwt(f"jwt-{fleet}", jwks_url)
    for wanted in (True, False):
        assert vault.put_policy(f"pbx-{fleet}", TEXT.format(fleet)) is wanted
        assert vault.put_role(f"jwt-{fleet}", "pbx", ROLE) is wanted
    assert vault.put_policy(f"pbx-{fleet}", TEXT.format("other")) is True
    assert vault.put_role(f"jwt-{fleet}", "pbx", {**ROLE, "token_period": 900}) is True


def test_policies_and_roles_are_deleted_once(vault: VaultClient, fleet: str, jwks_url: str) -> None:
    mount = f"jwt-{fleet}"
    vault.enable_jwt(mount, jwks_url)
    for name in ("pbx", "pbx-2"):
        vault.put_policy(f"{name}-{fleet}", TEXT.format(fleet))
        vault.put_role(mount, name, ROLE)
    for wanted in (True, False):
        assert vault.delete_policy(f"pbx-{fleet}") is wanted
        assert vault.delete_role(mount, "pbx") is wanted
    assert vault.put_policy(f"pbx-2-{fleet}", TEXT.format(fleet)) is False
    assert vault.put_role(mount, "pbx-2", ROLE) is False


def test_mounts_are_enabled_once_and_never_taken_over(vault: VaultClient, fleet: str, jwks_url: str) -> None:
    for wanted in (True, False):
        assert vault.enable_kv(f"kv-{fleet}") is wanted
        assert vault.enable_transit(f"transit-{fleet}") is wanted
        assert vault.enable_jwt(f"jwt-{fleet}", jwks_url) is wanted
    with pytest.raises(Conflict):
        vault.enable_transit(f"kv-{fleet}")
    with pytest.raises(Conflict):
        vault.enable_kv(f"transit-{fleet}")


def test_a_token_is_known_by_its_policies(vault: VaultClient, fleet: str) -> None:
    vault.put_policy(f"riti-{fleet}", TEXT.format(fleet))
    token = vault.create_token((f"riti-{fleet}",), f"riti-{fleet}")
    assert vault.has_token(token, (f"riti-{fleet}",))
    assert not vault.has_token(token, ("other",))
    assert not vault.has_token("s.unknown", (f"riti-{fleet}",))


def test_what_older_versions_said_can_be_destroyed_for_ever(vault: VaultClient, fleet: str) -> None:
    path = f"{fleet}/overlay/ca"
    for version in range(3):
        vault.write_document(path, {"key": version}, version)
    assert vault.destroy_versions_before(path, 3) is True
    assert vault.destroy_versions_before(path, 3) is False
    assert vault.destroy_versions_before(f"{fleet}/never", 9) is False
    document = vault.read_document(path)
    assert document and (document.version, document.data) == (3, {"key": 2})
    assert vault.write_document(path, {"key": 3}, 3) == 4
