"""Vault's PKI, by which a fleet's boxes have their names: one root, whose key nobody ever sees, and one role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ritilib.clients.protocols import VaultClient

ROOT_HOURS = 10 * 365 * 24


@dataclass(frozen=True)
class Signed:
    """A certificate with those that it hangs on (PEM, its own the first), its serial number, and when it ends."""

    chain: str
    serial: str
    not_after: datetime


class Pki:
    """The PKI at one mount. Methods raise as Vault's do."""

    def __init__(self, vault: VaultClient, mount: str) -> None:
        self._vault, self._mount = vault, mount

    def enable(self) -> bool:
        """Mount it; True where something was written."""
        config = {"max_lease_ttl": f"{ROOT_HOURS}h"}
        return self._vault.enable("mounts", self._mount, {"type": "pki", "config": config})

    def make_root(self, name: str) -> bool:
        """Make its root on P-256, once: with a second one, who has a certificate of the first would be a stranger."""
        if self._vault.find(f"{self._mount}/issuers?list=true", f"list the issuers of {self._mount}"):
            return False
        body = {
            "common_name": name,
            "key_type": "ec",
            "key_bits": 256,
            "ttl": f"{ROOT_HOURS}h",
            "issuer_name": "root",
        }
        self._vault.post(f"{self._mount}/root/generate/internal", body, f"make the root of {self._mount}")
        return True

    def read_root(self) -> str:
        """The root's certificate (PEM)."""
        held = self._vault.find(f"{self._mount}/issuer/default", f"read the root of {self._mount}") or {}
        return str(held["certificate"]).strip() + "\n"

    def put_role(self, role: str, names: str, hours: int) -> bool:
        """A role for certificates of clients with these names ("demo--*"), on P-256; True where written."""
        return self._vault.put_fields(
            f"{self._mount}/roles/{role}", f"role {role} of {self._mount}", _make_role(names, hours)
        )

    def sign(self, role: str, csr: str, name: str) -> Signed:
        """A certificate for a CSR's key and this name. The name is no host's, so it stands in no SAN."""
        body = {"csr": csr, "common_name": name, "exclude_cn_from_sans": True}
        made = self._vault.post(
            f"{self._mount}/sign/{role}", body, f"sign {name} with {self._mount}/sign/{role}"
        )
        chain = [made["certificate"], *(made.get("ca_chain") or [made["issuing_ca"]])]
        text = "".join(f"{one.strip()}\n" for one in chain)
        return Signed(text, made["serial_number"], datetime.fromtimestamp(made["expiration"], UTC))


def _make_role(names: str, hours: int) -> dict[str, Any]:
    return {
        "allowed_domains": [names],
        "allow_glob_domains": True,
        "allow_any_name": False,
        "allow_bare_domains": False,
        "allow_localhost": False,
        "allow_ip_sans": False,
        "enforce_hostnames": False,  # a box's name is its job's, with two hyphens in a row
        "cn_validations": ["hostname"],  # without it any name is signed (tried with OpenBao 2.7.2)
        "server_flag": False,
        "client_flag": True,
        "key_usage": ["DigitalSignature"],
        "key_type": "ec",
        "key_bits": 256,
        "use_csr_common_name": True,
        "use_csr_sans": False,
        "ttl": hours * 3600,
        "max_ttl": hours * 3600,
        "not_before_duration": 24 * 3600,  # a box's clock may be behind
        "no_store": True,  # 10,000 boxes, renewed for ever: what counts is the login's role, which can be deleted
        "generate_lease": False,
    }
