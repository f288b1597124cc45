"""Consul and OpenBao asked by bare connections: what is seeded, and the floor of an enrollment."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ritilib.devstack.record import LOOPBACK, Record
from ritilib.devstack.servers.certificates import VAULT_NAME, Certificates
from ritilib.errors import DevstackError
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.render.policies import CONSUL_POLICY, VAULT_POLICY, render_box_policies, write_enroll_policy
from ritilib.sync.enroll.prepare import PKI_ROLE

HANDS = 8  # at once, as many as the controller's crew
REQUEST_BYTES, REPLY_BYTES = 3000, 2200  # as large as a box's


@dataclass
class Bare:
    """Connections to both servers, for HANDS threads; Vault's for the gateway too. token: management's."""

    record: Record
    certificates: Certificates
    sent: int = 0
    _pools: dict[str, urllib3.HTTPConnectionPool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        gateway = urlsplit(self.record.vault_gateway_address)
        self._pools["gateway"] = urllib3.HTTPSConnectionPool(
            gateway.hostname or "",
            gateway.port,
            maxsize=HANDS,
            ca_certs=str(self.certificates.authority),
            cert_file=str(self.certificates.client),
            server_hostname=VAULT_NAME,
            assert_hostname=VAULT_NAME,
        )
        for name, address in (("consul", self.record.consul_address), ("vault", self.record.vault_address)):
            parts = urlsplit(address)
            self._pools[name] = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=HANDS)

    def consul(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """One request with this token (else management's); the value of its JSON."""
        return self._ask("consul", method, path, body, {"X-Consul-Token": token or self.record.consul_token})

    def vault(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """The same of Vault."""
        return self._ask("vault", method, path, body, {"X-Vault-Token": token or self.record.vault_token})

    def log_in(self, mount: str, name: str, certificate: bytes) -> str:
        """A token of Vault for who has shown the gateway this certificate (DER)."""
        headers = {
            "Client-Cert": f":{base64.b64encode(certificate).decode()}:",
            "X-Forwarded-For": LOOPBACK,
        }
        said = self._ask("gateway", "POST", f"auth/{mount}/login", {"name": name}, headers)
        return str(said["auth"]["client_token"])

    def _ask(self, server: str, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self._pools[server].request(method, f"/v1/{path}", body=data, headers=headers, retries=False)
        self.sent += 1
        if answer.status >= 300:
            what = f"{server} answered {answer.status} to {method} {path}: {answer.data[:200]!r}"
            raise DevstackError.because(what, "see its log")
        return json.loads(answer.data) if answer.data.strip() else None


@dataclass(frozen=True)
class Applicant:
    """A box for the floor: its names, its claim, its CSR."""

    names: UnitNames
    claim: str = field(repr=False)
    csr: str = field(repr=False)


def make_applicant(names: UnitNames, claim: str) -> Applicant:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names.job_id)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return Applicant(names, claim, made.public_bytes(Encoding.PEM).decode())


def open_bare(bare: Bare, one: Applicant) -> None:
    """What the servers must hold before a box can ask, and nothing else: no look at what is there."""
    names = one.names
    _allow(bare, names.enroll_role, write_enroll_policy(names))
    bare.consul("PUT", f"kv/{EnrollmentNames(names.fleet).binding(names.key)}?cas=0", b"x" * 400)


def enroll_bare(bare: Bare, root: str, one: Applicant) -> None:
    """What the servers must do for one box, by whoever, and nothing else: nobody looks, decides, waits, or is told."""
    names, fleet, texts = one.names, EnrollmentNames(one.names.fleet), render_box_policies(one.names)
    login = {"AuthMethod": fleet.claim_method, "BearerToken": one.claim}
    token = bare.consul("POST", "acl/login", login)["SecretID"]
    bare.consul("PUT", f"kv/{names.enroll_request}?cas=0", b"x" * REQUEST_BYTES, token)
    bare.consul("PUT", "txn", [_set(fleet.binding(names.key), 700), _set(fleet.used(names.key), 200)])
    body = {"csr": one.csr, "common_name": names.job_id, "exclude_cn_from_sans": True}
    made = bare.vault("POST", f"{fleet.pki_mount}/sign/{PKI_ROLE}", body)["data"]["certificate"]
    _allow(bare, names.box_role, texts[CONSUL_POLICY])
    bare.vault("PUT", f"sys/policies/acl/{names.box_role}", {"policy": texts[VAULT_POLICY]})
    role = {"certificate": root, "allowed_common_names": [names.job_id], "token_policies": [names.box_role]}
    bare.vault("POST", f"auth/{fleet.cert_mount}/certs/{names.job_id}", {**role, "token_ttl": 3600})
    reply = _set(names.enroll_reply, REPLY_BYTES)
    bare.consul("PUT", "txn", [reply, _set(fleet.binding(names.key), 900)])
    bare.consul("DELETE", f"kv/{names.enroll_request}")
    bare.consul("GET", f"kv/{names.enroll_reply}", None, token)
    bare.consul("POST", "acl/logout", b"", token)
    certificate = x509.load_pem_x509_certificate(made.encode()).public_bytes(Encoding.DER)
    vault_token = bare.log_in(fleet.cert_mount, names.job_id, certificate)
    jwt = bare.vault("GET", f"identity/oidc/token/{fleet.oidc_role}", None, vault_token)["data"]["token"]
    login = {"AuthMethod": fleet.box_method, "BearerToken": jwt}
    own = bare.consul("POST", "acl/login", login)["SecretID"]
    bare.consul("PUT", f"kv/{names.box_generation}?cas=0", b"x" * 32, own)
    bare.vault("GET", names.box_vault_path, None, vault_token)


def for_each(do: Callable[[Any], object], ones: list[Any]) -> None:
    """With HANDS threads; the first error is raised when all have ended."""
    with ThreadPoolExecutor(HANDS) as threads:
        for _ in threads.map(do, ones):
            pass


def _allow(bare: Bare, name: str, rules: str) -> None:
    bare.consul("PUT", "acl/policy", {"Name": name, "Rules": rules})
    bare.consul("PUT", "acl/role", {"Name": name, "Policies": [{"Name": name}]})


def _set(key: str, size: int) -> dict[str, Any]:
    return {"KV": {"Verb": "set", "Key": key, "Value": base64.b64encode(b"x" * size).decode()}}
