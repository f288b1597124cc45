"""What a box's things are called in Nomad, Consul and Vault (DESIGN, What lives where)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# The part of a PBX's dial plan that every call passes, and what the controller puts in its place so that none does:
# 3 is "no route", by which callers take the next rung of their ladder.
OPEN_DOOR = "[door]\nexten => s,1,Return()\n"
CLOSED_DOOR = "[door]\nexten => s,1,Hangup(3)\n"
# What stands between the secrets of one link in its document: the job's template writes `secret=` before them all, and
# any change of its own text would replace every PBX. Whoever calls in may have any of them; called is by the last.
_NEXT_SECRET = "\nsecret="
SECOND_OVERLAY = "overlay_second"  # in its document: the identity of the second half of its pair of addresses
_GENERATION = re.compile(rb'\{"generation": ([0-9]{1,9}),')  # jobs/pbx/gate/generation.go writes it
CONFIG_FORMAT = 1  # the job names it; a new format lives beside the old one while an old allocation runs


def join_secrets(secrets: Iterable[str]) -> str:
    """The secrets of one link as its document holds them, the one to call by last."""
    return _NEXT_SECRET.join(secrets)


def split_secrets(joined: str) -> list[str]:
    """The other way round."""
    return joined.split(_NEXT_SECRET)


def name_half(peer: str, half: int) -> str:
    """The section of iax.conf that says where a PBX is, of the pair of addresses that it has."""
    return f"{peer}.{half}"


def read_generation(value: bytes | None) -> int:
    """The generation of a PBX's newest instance, of what its key in Consul says; 0 where it says none.

    Who reads it may not fail by what another wrote: it then goes where the first instance is.
    """
    found = _GENERATION.match(value or b"")
    return int(found[1]) if found else 0


def move_peer(text: str, peer: str, generation: int) -> str:
    """iax.conf with a PBX where this generation of it is; the job's own template does the same (jobs/pbx)."""
    before, after = (f"({peer}-secret,{name_half(peer, half)})" for half in (0, generation % 2))
    return text.replace(before, after)


def name_job(fleet: str, key: str) -> str:
    """The job of a unit ("acme/montevideo") in Nomad."""
    return f"{fleet}--{key.replace('/', '--')}"


@dataclass(frozen=True)
class UnitNames:
    """Every name of one unit: a PBX ("acme", "montevideo") or a lighthouse ("lighthouse", "one")."""

    fleet: str
    company: str
    box: str

    @property
    def key(self) -> str:
        return f"{self.company}/{self.box}"

    @property
    def is_lighthouse(self) -> bool:
        return self.company == "lighthouse"

    @property
    def job_id(self) -> str:
        return name_job(self.fleet, self.key)

    @property
    def role(self) -> str:
        """The Consul role and policy, and the Vault role and policy: Consul's binding rule makes it of the job id."""
        return f"pbx-{self.job_id}"

    @property
    def kv_key(self) -> str:
        return f"riti/{self.fleet}/pbx/{self.key}/{CONFIG_FORMAT}"

    @property
    def never(self) -> str:
        """A key in Consul that nobody writes: a template of Nomad's that asks for it waits (render.live_value)."""
        return f"riti/{self.fleet}/never"

    @property
    def document(self) -> str:
        """The path of its one Vault document below the mount `riti`."""
        return f"{self.fleet}/lighthouse/{self.box}" if self.is_lighthouse else f"{self.fleet}/pbx/{self.key}"

    @property
    def box_document(self) -> str:
        return f"{self.fleet}/box/{self.key}"

    @property
    def box_kv_key(self) -> str:
        """The box's one value in Consul (reconcile.box_value).

        Beside its PBX's and not below `box/`, where the boxes write: so one index tells that a hand has changed either.
        """
        return f"riti/{self.fleet}/pbx/{self.key}/box/{CONFIG_FORMAT}"

    @property
    def box_image(self) -> str:
        """The key in Consul that says which image the box is to run (reconcile.image_value).

        Not in the box's own value: another image changes nothing of its telephones, which would be tried and reloaded.
        """
        return f"riti/{self.fleet}/image/{self.key}"

    @property
    def box_word(self) -> str:
        """The key in Consul where the box says what it has in force: its watcher's state, as it stands."""
        return f"riti/{self.fleet}/box/{self.key}/word"

    @property
    def box_report(self) -> str:
        """The key in Consul where the box says how it is."""
        return f"riti/{self.fleet}/box/{self.key}/report"

    @property
    def box_generation(self) -> str:
        """The key in Consul that the box advances before it renews: a foreign value there means a clone."""
        return f"riti/{self.fleet}/box/{self.key}/generation"

    @property
    def generation(self) -> str:
        """The key in Consul by which instances of the PBX take turns: generation mod 2 is the address of the newest."""
        return f"{self.generations}{self.box}"

    @property
    def generations(self) -> str:
        """The folder of all of them of one company: its PBXes read there which address each peer has."""
        return f"riti/{self.fleet}/generation/{self.company}/"

    @property
    def enroll_request(self) -> str:
        return f"riti/{self.fleet}/enroll/{self.key}/request"

    @property
    def enroll_reply(self) -> str:
        return f"riti/{self.fleet}/enroll/{self.key}/reply"

    @property
    def enroll_role(self) -> str:
        """The Consul role and policy by which a claim's token writes its request, until the box is in."""
        return f"enroll-{self.job_id}"

    @property
    def box_role(self) -> str:
        """The Consul role and policy, and the Vault policy, of the box itself."""
        return f"box-{self.job_id}"

    @property
    def box_vault_path(self) -> str:
        """The box's document as Vault's KV v2 API names it for reading."""
        return f"riti/data/{self.box_document}"

    @property
    def vault_path(self) -> str:
        """The document as Vault's KV v2 API names it for reading."""
        return f"riti/data/{self.document}"


@dataclass(frozen=True)
class EnrollmentNames:
    """What a fleet has once for the enrollment of its boxes, in Consul and Vault."""

    fleet: str

    @property
    def claim_key(self) -> str:
        """Vault's transit key that signs claims. No fleet's name begins like this."""
        return f"_claims-{self.fleet}"

    @property
    def claims_policy(self) -> str:
        """The Vault policy of an operator who may sign claims."""
        return f"riti-{self.fleet}-claims"

    @property
    def claim_method(self) -> str:
        """Consul's auth method for claims."""
        return f"riti-claim-{self.fleet}"

    @property
    def box_method(self) -> str:
        """Consul's auth method for the tokens of Vault's OIDC role of the same name."""
        return f"riti-box-{self.fleet}"

    @property
    def pki_mount(self) -> str:
        return f"riti-pki-{self.fleet}"

    @property
    def cert_mount(self) -> str:
        return f"riti-cert-{self.fleet}"

    @property
    def oidc_key(self) -> str:
        return f"riti-{self.fleet}"

    @property
    def oidc_role(self) -> str:
        return f"riti-box-{self.fleet}"

    @property
    def blocked(self) -> str:
        """The key in Consul with the fingerprints that the overlay refuses."""
        return f"riti/{self.fleet}/blocked"

    @property
    def bindings(self) -> str:
        """The prefix in Consul of which key each box is bound to."""
        return f"riti/{self.fleet}/enrolled/"

    def binding(self, key: str) -> str:
        return f"{self.bindings}{key}"

    def used(self, jti: str) -> str:
        """The key in Consul that says to whom a claim is bound, for ever."""
        return f"riti/{self.fleet}/enrolled-jti/{jti}"


@dataclass(frozen=True)
class ControllerNames:
    """Every name of a fleet's controller. Units' jobs begin with `<fleet>--`, so its own is never one of them."""

    fleet: str
    task: str = "controller"  # and its group

    @property
    def job_id(self) -> str:
        return f"riti-{self.fleet}"

    @property
    def role(self) -> str:
        """The Consul role and the Vault role that its job takes."""
        return f"riti-{self.fleet}-controller"

    @property
    def document(self) -> str:
        """Its Vault document below the mount `riti`: hooks' secrets, credentials. No fleet's name begins like this."""
        return f"_controller/{self.fleet}"

    @property
    def vault_path(self) -> str:
        """The document as Vault's KV v2 API names it for reading."""
        return f"riti/data/{self.document}"


@dataclass(frozen=True)
class GatewayNames:
    """Every name of a fleet's gateway for boxes."""

    fleet: str
    task: str = "gateway"  # and its group

    @property
    def job_id(self) -> str:
        return f"riti-{self.fleet}-gateway"

    @property
    def role(self) -> str:
        """The Vault role and policy of its job; in Consul it has no rights, for it brings nothing of its own."""
        return self.job_id

    @property
    def document(self) -> str:
        """Its Vault document below the mount `riti`: certificates and keys. No fleet's name begins like this."""
        return f"_gateway/{self.fleet}"

    @property
    def vault_path(self) -> str:
        """The document as Vault's KV v2 API names it for reading."""
        return f"riti/data/{self.document}"

    @property
    def boxes_authority(self) -> str:
        """Where Vault tells the authority of boxes' certificates."""
        return f"riti-pki-{self.fleet}/cert/ca"
