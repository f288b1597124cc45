"""How a box logs in to Vault, by its certificate, and from there to others, by a token that Vault signs for it."""

from __future__ import annotations

from ritilib.clients.protocols import VaultClient

KEYS_PATH = "identity/oidc/.well-known/keys"
ROTATION_S = 30 * 24 * 3600


class CertificateLogin:
    """Login by TLS certificate at one mount: a role for each box, whose deletion closes it. Raises as Vault does."""

    def __init__(self, vault: VaultClient, mount: str) -> None:
        self._vault, self._mount = vault, mount

    def enable(self) -> bool:
        """Mount it; True where something was written."""
        return self._vault.enable("auth", self._mount, {"type": "cert"})

    def put_role(self, name: str, root: str, policy: str, ttl_s: int, is_new: bool = False) -> bool:
        """Let in who has a certificate of this root (PEM) with this very name, with one policy; True where written.

        is_new: it is written without a look, which spares a request where it is not there.
        """
        fields = {
            "certificate": root.strip(),
            "allowed_common_names": [name],
            "display_name": name,
            "token_policies": [policy],
            "token_no_default_policy": True,
            "token_ttl": ttl_s,
            "token_max_ttl": ttl_s,
        }
        path, what = f"auth/{self._mount}/certs/{name}", f"certificate role {name}"
        if is_new:
            self._vault.post(path, fields, f"write {what}")
            return True
        return self._vault.put_fields(path, what, fields)

    def delete_role(self, name: str) -> bool:
        """Let it in no more; False where there is no such role. Tokens that it has keep what its policy gives."""
        return self._vault.delete(f"auth/{self._mount}/certs/{name}", f"certificate role {name}")


class TokenIssuer:
    """OpenID Connect tokens for what is logged in, which say who it is. Raises as Vault does."""

    def __init__(self, vault: VaultClient) -> None:
        self._vault = vault

    def put_key(self, name: str, audience: str) -> bool:
        """A key that signs for one audience alone; True where something was written."""
        fields = {
            "algorithm": "ES256",
            "allowed_client_ids": [audience],
            "rotation_period": ROTATION_S,
            "verification_ttl": ROTATION_S,
        }
        return self._vault.put_fields(f"identity/oidc/key/{name}", f"OIDC key {name}", fields)

    def put_role(self, name: str, key: str, audience: str, mount: str, claim: str, ttl_s: int) -> bool:
        """Tokens that say in `claim` by which name the asker logged in at `mount` (nothing, for who did elsewhere)."""
        accessor = self._vault.find_accessor(mount)
        fields = {
            "key": key,
            "client_id": audience,
            "ttl": ttl_s,
            "template": f'{{"{claim}": {{{{identity.entity.aliases.{accessor}.name}}}}}}',
        }
        return self._vault.put_fields(f"identity/oidc/role/{name}", f"OIDC role {name}", fields)

    def find_keys(self) -> tuple[str, str]:
        """Where others fetch the public keys: the URL, and the PEM of the authority that verifies it ("": public)."""
        address, ca = self._vault.place
        return f"{address}/v1/{KEYS_PATH}", ca
