"""A signing key in Vault's transit engine, on P-256: it can be used, and neither read nor exported."""

from __future__ import annotations

import base64

from ritilib.clients.protocols import VaultClient
from ritilib.clients.vault import TRANSIT_MOUNT


class SigningKey:
    """One key by its name. Methods raise as Vault's do."""

    def __init__(self, vault: VaultClient, name: str) -> None:
        self._vault, self._name = vault, name
        self._path = f"{TRANSIT_MOUNT}/keys/{name}"

    def create(self) -> bool:
        """Make it; True where it was not there."""
        if self._vault.find(self._path, f"read transit key {self._name}"):
            return False
        self._vault.post(self._path, {"type": "ecdsa-p256"}, f"make transit key {self._name}")
        return True

    def read_public_keys(self) -> tuple[str, ...]:
        """The public keys (PEM) of all its versions that still count, the newest the last; none without a key."""
        held = self._vault.find(self._path, f"read transit key {self._name}") or {"keys": {}}
        versions = sorted(held["keys"].items(), key=lambda one: int(one[0]))
        return tuple(version["public_key"] for _, version in versions)

    def sign(self, text: str) -> str:
        """Its signature of a text by ES256, as JWS writes it: base64url of both numbers side by side."""
        body = {
            "input": base64.b64encode(text.encode()).decode(),
            "hash_algorithm": "sha2-256",
            "marshaling_algorithm": "jws",
        }
        made = self._vault.post(
            f"{TRANSIT_MOUNT}/sign/{self._name}", body, f"sign with transit key {self._name}"
        )
        return str(made["signature"]).rpartition(":")[2]
