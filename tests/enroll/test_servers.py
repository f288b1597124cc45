"""What enrollment relies on in OpenBao and Consul: held by the fakes too, as far as they go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ritilib.clients.consul import Consul
from ritilib.clients.protocols import ConsulClient, VaultClient
from ritilib.clients.vault import TRANSIT_MOUNT, Vault
from ritilib.clients.vault_logins import CertificateLogin
from ritilib.clients.vault_pki import Pki
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll import jose
from ritilib.errors import Conflict, Denied, ServerError
from ritilib.render.names import EnrollmentNames
from ritilib.sync.enroll.prepare import PKI_ROLE, name_box_audience, prepare_enrollment
from tests.enroll.servers import Light, write_key
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.fakes.vault import FakeVault


def keep_silent(words: str) -> None:
    del words


@pytest.fixture(params=["fake", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def consul(kind: str, request: pytest.FixtureRequest) -> ConsulClient:
    return FakeConsul() if kind == "fake" else Consul(request.getfixturevalue("light").settings)


@pytest.fixture
def vault(kind: str, request: pytest.FixtureRequest) -> VaultClient:
    made: VaultClient = FakeVault() if kind == "fake" else Vault(request.getfixturevalue("light").settings)
    made.enable_transit(TRANSIT_MOUNT)
    return made


@pytest.fixture
def names(consul: ConsulClient, vault: VaultClient, fleet: str) -> EnrollmentNames:
    """Of a fleet that is prepared."""
    prepare_enrollment(consul, vault, fleet, f"id-{fleet}", keep_silent)
    return EnrollmentNames(fleet)


def make_csr(name: str) -> tuple[str, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode(), key


def test_several_writes_are_all_there_or_none(consul: ConsulClient, fleet: str) -> None:
    one, two = f"riti/{fleet}/one", f"riti/{fleet}/two"
    consul.write_all([(one, b"1", 0), (two, b"2", 0)])
    held = consul.read(one)
    assert held is not None and held.value == b"1"
    with pytest.raises(Conflict):
        consul.write_all([(one, b"3", held.modify_index), (two, b"4", 0)])
    assert [entry.value for entry in consul.read_tree(f"riti/{fleet}/").entries] == [b"1", b"2"]
    consul.write_all([(one, b"3", held.modify_index), (f"riti/{fleet}/z", b"5", 0)])
    assert [entry.value for entry in consul.read_tree(f"riti/{fleet}/").entries] == [b"3", b"2", b"5"]


def test_a_second_preparation_writes_nothing(fleet: str) -> None:
    journal = Journal()
    consul, vault = FakeConsul(journal), FakeVault(journal)
    prepare_enrollment(consul, vault, fleet, "id", keep_silent)
    written = len(journal.writes)
    prepare_enrollment(consul, vault, fleet, "id", keep_silent)
    assert len(journal.writes) == written


def test_a_second_preparation_keeps_root_and_key(
    consul: ConsulClient, vault: VaultClient, names: EnrollmentNames
) -> None:
    root = Pki(vault, names.pki_mount).read_root()
    keys = SigningKey(vault, names.claim_key).read_public_keys()
    prepare_enrollment(consul, vault, names.fleet, f"id-{names.fleet}", keep_silent)
    assert Pki(vault, names.pki_mount).read_root() == root
    assert SigningKey(vault, names.claim_key).read_public_keys() == keys and len(keys) == 1
    assert len(consul.list_binding_rules(names.claim_method)) == 1


def test_a_claims_signature_is_one_that_jose_reads(vault: VaultClient, names: EnrollmentNames) -> None:
    key = SigningKey(vault, names.claim_key)
    draft = jose.draft(b'{"sub":"x"}', {"typ": "JWT"})
    assert jose.verify(f"{draft}.{key.sign(draft)}", key.read_public_keys()) == b'{"sub":"x"}'


def test_a_box_gets_its_name_and_nothing_else(vault: VaultClient, names: EnrollmentNames) -> None:
    unit = f"{names.fleet}--acme--salto"
    csr, key = make_csr(unit)
    pki = Pki(vault, names.pki_mount)
    signed = pki.sign(PKI_ROLE, csr, unit)
    own, root = x509.load_pem_x509_certificates(signed.chain.encode())
    assert own.subject.rfc4514_string() == f"CN={unit}"
    assert own.public_key() == key.public_key()
    assert own.not_valid_after_utc == signed.not_after
    assert root.public_bytes(serialization.Encoding.PEM).decode().strip() == pki.read_root().strip()
    own.verify_directly_issued_by(root)


def test_openbao_signs_for_clients_of_this_fleet_alone(light: Light, fleet: str) -> None:
    consul, vault = Consul(light.settings), Vault(light.settings)
    vault.enable_transit(TRANSIT_MOUNT)
    prepare_enrollment(consul, vault, fleet, f"id-{fleet}", keep_silent)
    pki, unit = Pki(vault, EnrollmentNames(fleet).pki_mount), f"{fleet}--acme--salto"
    csr, _ = make_csr(unit)
    own = x509.load_pem_x509_certificate(pki.sign(PKI_ROLE, csr, unit).chain.encode())
    usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not any(isinstance(one.value, x509.SubjectAlternativeName) for one in own.extensions)
    for name in ("another--acme--salto", f"{fleet}b--acme--salto", "localhost"):
        with pytest.raises(ServerError):
            pki.sign(PKI_ROLE, make_csr(name)[0], name)


class Box:
    """What a bound box has: its certificate, and the rights that the controller gave it."""

    def __init__(self, light: Light, folder: Path, fleet: str, box: str) -> None:
        self.light, self.fleet, self.unit = light, fleet, f"{fleet}--acme--{box}"
        self.names = EnrollmentNames(fleet)
        consul, vault = Consul(light.settings), Vault(light.settings)
        vault.enable_transit(TRANSIT_MOUNT)
        prepare_enrollment(consul, vault, fleet, f"id-{fleet}", keep_silent)
        pki = Pki(vault, self.names.pki_mount)
        csr, key = make_csr(self.unit)
        self.certificate, self.key = folder / f"{box}.crt", folder / f"{box}.key"
        self.certificate.write_text(pki.sign(PKI_ROLE, csr, self.unit).chain)
        self.key.write_text(write_key(key))
        self.policy = f"box-{self.unit}"
        text = f'path "identity/oidc/token/{self.names.oidc_role}" {{\n  capabilities = ["read"]\n}}\n'
        vault.put_policy(self.policy, text)
        CertificateLogin(vault, self.names.cert_mount).put_role(self.unit, pki.read_root(), self.policy, 3600)
        consul.put_policy(
            self.policy, f'key "riti/{fleet}/blocked" {{\n  policy = "read"\n}}\n', f"riti id-{fleet} x"
        )
        consul.put_role(self.policy, (self.policy,), f"riti id-{fleet} x")

    def log_in(self, role: str) -> Any:
        return self.light.log_in(role, self.names.cert_mount, self.certificate, self.key)

    def ask_token(self, vault_token: str) -> str:
        """What Vault signs for who has this token."""
        vault = Vault(self.light.as_box(vault_token))
        found = vault.find(f"identity/oidc/token/{self.names.oidc_role}", "ask for a token")
        assert found is not None
        return str(found["token"])


@pytest.fixture
def make_box(light: Light, tmp_path: Path, fleet: str) -> Callable[[str], Box]:
    return lambda name: Box(light, tmp_path, fleet, name)


def test_a_certificate_is_worth_its_own_role_and_a_token_for_consul(make_box: Callable[[str], Box]) -> None:
    one, two = make_box("one"), make_box("two")
    assert one.log_in(two.unit).status_code in (400, 403)
    answer = one.log_in(one.unit)
    assert answer.status_code == 200, answer.text
    token = answer.json()["auth"]
    assert token["policies"] == [one.policy] and token["lease_duration"] <= 3600
    jwt = one.ask_token(token["client_token"])
    said = json.loads(jose.peek(jwt))
    assert (said["unit"], said["aud"]) == (one.unit, name_box_audience(f"id-{one.fleet}"))
    consul = Consul(one.light.settings)
    secret = consul.login(one.names.box_method, jwt)
    as_box = Consul(one.light.as_box(consul_token=secret))
    assert as_box.read(one.names.blocked) is None
    with pytest.raises(Denied):
        as_box.read(f"riti/{one.fleet}/accepted")
    consul.delete_role(one.policy, f"riti id-{one.fleet} x")
    with pytest.raises(Denied):
        while True:  # Consul tells its own caches within a second
            as_box.read(one.names.blocked)


def test_a_token_is_for_one_fleets_consul(make_box: Callable[[str], Box], light: Light, fleet: str) -> None:
    box = make_box("one")
    other = EnrollmentNames(f"{fleet}b")
    prepare_enrollment(
        Consul(light.settings), Vault(light.settings), f"{fleet}b", f"id-{fleet}b", keep_silent
    )
    jwt = box.ask_token(box.log_in(box.unit).json()["auth"]["client_token"])
    with pytest.raises(ServerError):
        Consul(light.settings).login(other.box_method, jwt)
    with pytest.raises(ServerError):
        Consul(light.settings).login(box.names.claim_method, jwt)


def test_without_its_role_and_policy_a_box_is_closed_out(make_box: Callable[[str], Box]) -> None:
    box = make_box("one")
    token = box.log_in(box.unit).json()["auth"]["client_token"]
    vault = Vault(box.light.settings)
    assert CertificateLogin(vault, box.names.cert_mount).delete_role(box.unit)
    assert vault.delete_policy(box.policy)
    assert box.log_in(box.unit).status_code in (400, 403)
    with pytest.raises(Denied):
        box.ask_token(token)
    assert not CertificateLogin(vault, box.names.cert_mount).delete_role(box.unit)
