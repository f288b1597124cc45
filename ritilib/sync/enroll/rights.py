"""A box's rights at the servers, given and taken away; every step again without harm."""

from __future__ import annotations

from contextlib import suppress

from ritilib.clients.protocols import ConsulClient, VaultClient
from ritilib.clients.vault_logins import CertificateLogin
from ritilib.clients.vault_pki import Pki
from ritilib.errors import Conflict
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.render.policies import CONSUL_POLICY, VAULT_POLICY, render_box_policies, write_enroll_policy
from ritilib.sync.unit.apply import describe_owner

TOKEN_TTL_S = 3600  # DESIGN: no token of a box lives longer


class BoxRights:
    """Of the boxes of one fleet. Methods raise Conflict where a name is somebody else's, and as the clients do."""

    def __init__(self, consul: ConsulClient, vault: VaultClient, fleet: str, fleet_id: str) -> None:
        self._consul, self._vault, self._fleet_id = consul, vault, fleet_id
        self._names = EnrollmentNames(fleet)
        self._logins = CertificateLogin(vault, self._names.cert_mount)
        self._root = ""

    def open_enrollment(self, names: UnitNames) -> None:
        """Let the bearer of a claim ask for the box."""
        mark = self._mark(names)
        self._consul.put_policy(names.enroll_role, write_enroll_policy(names), mark, is_new=True)
        self._consul.put_role(names.enroll_role, (names.enroll_role,), mark, is_new=True)

    def close_enrollment(self, names: UnitNames) -> None:
        """Let nobody ask: the tokens of claims lose all at once."""
        self._consul.delete_role(names.enroll_role, self._mark(names))
        self._consul.delete_policy(names.enroll_role, self._mark(names))

    def give(self, names: UnitNames, generation: int, is_new: bool = False) -> None:
        """Let the box in by its certificate, to its own things. is_new: nothing of it should be there, so it is looked
        at only where it cannot be made."""
        texts, mark = render_box_policies(names), self._mark(names)
        self._consul.put_policy(names.box_role, texts[CONSUL_POLICY], mark, is_new)
        self._consul.put_role(names.box_role, (names.box_role,), mark, is_new)
        policy = name_policy(names, generation)
        self._vault.put_policy(policy, texts[VAULT_POLICY], is_new)
        self._root = self._root or Pki(self._vault, self._names.pki_mount).read_root()
        self._logins.put_role(names.job_id, self._root, policy, TOKEN_TTL_S, is_new)

    def take(self, names: UnitNames, generation: int) -> None:
        """Let the box in no more: its tokens at both servers are worth nothing from now on."""
        self._logins.delete_role(names.job_id)
        self._vault.delete_policy(name_policy(names, generation))
        self._consul.delete_role(names.box_role, self._mark(names))
        self._consul.delete_policy(names.box_role, self._mark(names))

    def _mark(self, names: UnitNames) -> str:
        return describe_owner(self._fleet_id, names.key)


def name_policy(names: UnitNames, generation: int) -> str:
    """The box's policy in Vault. Vault's tokens hold policies by name: with one name for all generations, the tokens
    of a box that was replaced would come to life again with its successor's."""
    return f"{names.box_role}--{generation}"


def forget_key(consul: ConsulClient, key: str) -> None:
    """Delete a key, whatever it says; who writes it meanwhile has it deleted the next time."""
    held = consul.read(key)
    if held:
        with suppress(Conflict):
            consul.delete(key, held.modify_index)
