"""The rights of a controller in Nomad, Consul and Vault: as a candidate, which writes nothing but who leads, and
that a webhook came, and as the leader.

The candidate's tokens are the standing ones: those that `riti bootstrap` leaves, or, where the controller is a Nomad
job, those that its workload identity is given (ritilib.sync.lead.identity). The leader's are made at each election and
end with it (ritilib.sync.lead). What the candidate needs to make and revoke them, and no server narrows further:

- Nomad 1.10.5 lets a management token alone make or revoke tokens (nomad/acl_endpoint.go, UpsertTokens, DeleteTokens).
  That one lies in Vault, is read at an election and held no longer. OpenBao 2.7.2 has no secrets engine for Nomad
  that would keep it to itself.
- Consul 1.15.3 wants `acl = "write"`, by which one can give oneself any other right.
- Vault makes tokens through one role, with the leader's policy and no other; a token can be revoked by whoever knows
  its accessor and has `auth/token/revoke-accessor`, which names no owner.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT
from ritilib.render.names import ControllerNames, EnrollmentNames
from ritilib.sync.enroll.prepare import PKI_ROLE
from ritilib.sync.observe import Places
from ritilib.sync.overlay.kept import name_document
from ritilib.sync.unit.apply import JWT_MOUNT

READ, WRITE, CALL = ["read"], ["create", "read", "update"], ["update"]
REMOVE = [*WRITE, "delete"]

NOMAD_CANDIDATE = """\
namespace "default" {
  capabilities = ["list-jobs", "read-job", "parse-job"]
}
"""
NOMAD_LEADER = """\
namespace "default" {
  capabilities = ["list-jobs", "read-job", "submit-job", "parse-job", "read-fs", "alloc-lifecycle"]
}

node {
  policy = "read"
}
"""


@dataclass(frozen=True)
class Rights:
    """The names and texts of one fleet's policies."""

    fleet: str

    @property
    def leader(self) -> str:
        """Its policy's name at all three servers, and that of the token role in Vault."""
        return f"riti-{self.fleet}"

    @property
    def candidate(self) -> str:
        return f"riti-{self.fleet}-candidate"

    @property
    def lock(self) -> str:
        """The key in Consul that says who leads."""
        return f"riti/{self.fleet}/leader"

    @property
    def nomad_document(self) -> str:
        """Nomad's management token; no fleet's name begins like this, so no other rule reaches it."""
        return f"_leader/{self.fleet}"

    def consul_leader(self) -> str:
        """The fleet's keys, and ACLs, since a leader makes a policy and a role for each PBX; not the lock."""
        keys = f'key_prefix "riti/{self.fleet}/" {{\n  policy = "write"\n}}\n\n'
        return f'{keys}key "{self.lock}" {{\n  policy = "read"\n}}\n\nacl = "write"\n'

    def consul_candidate(self) -> str:
        keys = f'key_prefix "riti/{self.fleet}/" {{\n  policy = "read"\n}}\n\n'
        own = "".join(
            f'key "{key}" {{\n  policy = "write"\n}}\n\n' for key in (self.lock, Places(self.fleet).wake)
        )
        return f'{keys}{own}session_prefix "" {{\n  policy = "write"\n}}\n\nacl = "write"\n'

    def vault_leader(self) -> str:
        """The fleet's documents, its HMACs, its PBXes' and boxes' policies and roles, and its boxes' certificates.

        Vault narrows the names of the policies that it may write, not what they say.
        """
        names = EnrollmentNames(self.fleet)
        return _write_paths(
            {
                f"{KV_MOUNT}/data/{self.fleet}/*": WRITE,
                f"{KV_MOUNT}/metadata/{self.fleet}/*": ["list", "read"],
                f"{KV_MOUNT}/delete/{self.fleet}/pbx/*": CALL,  # hides versions, and destroys none
                f"{KV_MOUNT}/delete/{self.fleet}/box/*": CALL,
                f"{KV_MOUNT}/delete/{self.fleet}/lighthouse/*": CALL,
                f"{KV_MOUNT}/destroy/{name_document(self.fleet)}": CALL,  # the key of an authority that is replaced
                f"{TRANSIT_MOUNT}/hmac/{self.fleet}": CALL,
                f"{TRANSIT_MOUNT}/hmac/{self.fleet}/*": CALL,
                f"sys/policies/acl/pbx-{self.fleet}--*": REMOVE,
                f"auth/{JWT_MOUNT}/role/pbx-{self.fleet}--*": REMOVE,
                f"sys/policies/acl/box-{self.fleet}--*": REMOVE,
                f"auth/{names.cert_mount}/certs/{self.fleet}--*": REMOVE,
                f"{names.pki_mount}/sign/{PKI_ROLE}": CALL,
                f"{names.pki_mount}/issuer/default": READ,
                f"{TRANSIT_MOUNT}/keys/{names.claim_key}": READ,
            }
        )

    def vault_candidate(self) -> str:
        return _write_paths(
            {
                f"{KV_MOUNT}/data/{self.nomad_document}": READ,
                f"{KV_MOUNT}/data/{ControllerNames(self.fleet).document}": READ,
                f"auth/token/create/{self.leader}": CALL,
                "auth/token/revoke-accessor": CALL,
            }
        )

    def vault_token_role(self, longest_s: int) -> dict[str, object]:
        """What a leader's token in Vault is: a child of the candidate's, so that it ends with it."""
        return {
            "allowed_policies": [self.leader],
            "orphan": False,
            "renewable": False,
            "token_type": "service",
            "token_explicit_max_ttl": longest_s,
        }


def _write_paths(paths: Mapping[str, list[str]]) -> str:
    return "\n".join(
        f'path "{path}" {{\n  capabilities = {json.dumps(rights)}\n}}\n' for path, rights in paths.items()
    )
