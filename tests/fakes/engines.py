"""What the fake Vault's engines answer at their paths: certificates and signatures are real ones."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from ritilib.errors import ServerError


@dataclass
class Engines:
    """held: path → data, as it was written or made; keys: private ones by the path that they are of."""

    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def find(self, path: str) -> dict[str, Any] | None:
        return self.held.get(path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        mount, _, rest = path.partition("/")
        if rest == "root/generate/internal":
            return self._make_root(mount, body)
        if mount == "riti-transit" and body.get("type") == "ecdsa-p256":
            self.keys[path] = ec.generate_private_key(ec.SECP256R1())
            self.held[path] = {"keys": {"1": {"public_key": _write_public(self.keys[path])}}}
            return {}
        if mount == "riti-transit" and rest.startswith("sign/"):
            return self._sign_text(rest.removeprefix("sign/"), body)
        if rest.startswith("sign/"):
            return self._sign_request(mount, rest.removeprefix("sign/"), body)
        self.held[path] = {**self.held.get(path, {}), **body}
        return {}

    def _make_root(self, mount: str, body: dict[str, Any]) -> dict[str, Any]:
        key = self.keys[mount] = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, body["common_name"])])
        made = _begin(name, name, key.public_key(), 3650)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        text = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        self.held[f"{mount}/issuers?list=true"] = {"keys": ["root"]}
        self.held[f"{mount}/issuer/default"] = {"certificate": text}
        return {}

    def _sign_request(self, mount: str, role: str, body: dict[str, Any]) -> dict[str, Any]:
        if f"{mount}/roles/{role}" not in self.held or mount not in self.keys:
            raise ServerError.because(f"the fake has no role {role} at {mount}", "make it")
        root = x509.load_pem_x509_certificate(self.held[f"{mount}/issuer/default"]["certificate"].encode())
        key = x509.load_pem_x509_csr(body["csr"].encode()).public_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, body["common_name"])])
        made = _begin(name, root.subject, key, 30).sign(self.keys[mount], hashes.SHA256())
        return {
            "certificate": made.public_bytes(serialization.Encoding.PEM).decode(),
            "issuing_ca": self.held[f"{mount}/issuer/default"]["certificate"],
            "serial_number": f"{made.serial_number:x}",
            "expiration": int(made.not_valid_after_utc.timestamp()),
        }

    def _sign_text(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        key = self.keys[f"riti-transit/keys/{name}"]
        one, two = decode_dss_signature(key.sign(base64.b64decode(body["input"]), ec.ECDSA(hashes.SHA256())))
        both = one.to_bytes(32) + two.to_bytes(32)
        return {"signature": f"vault:v1:{base64.urlsafe_b64encode(both).rstrip(b'=').decode()}"}


def _begin(subject: x509.Name, issuer: x509.Name, key: Any, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _write_public(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
