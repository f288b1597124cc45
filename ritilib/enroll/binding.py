"""Which key a box is bound to, as the controller keeps it: one record for each box, and one for each claim used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ritilib.enroll.words import Sent, read

# expected: merged, and its claim may be used; waiting: for approval; the last three are final for their generation
State = Literal["expected", "waiting", "bound", "denied", "revoked", "conflict"]
CLOSED = ("revoked", "conflict")  # nothing of the box is let in any more
MOST_NOTES = 10


class Issued(BaseModel):
    """One certificate of the overlay: by its fingerprint it is refused, until it has ended by itself (ISO 8601)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fingerprint: str
    not_after: str

    def has_ended(self, now: datetime) -> bool:
        return datetime.fromisoformat(self.not_after) <= now


class Note(BaseModel):
    """Who else asked for the box, and why they did not get it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: str
    why: str
    thumbprint: str = ""
    serial: str = ""


class Binding(Sent):
    """generation counts the box's hardware: another one has another binding.

    open: whether the Consul role for claims is there. done: whether all that belongs to the state was carried out.
    request is the digest of the last request that counts, thumbprint that of its key; address is the box's in the
    overlay. approved is the serial number that somebody approved before Git says it. conflicts are the latest that were
    turned away. overlay are the box's certificates of the overlay that have not ended, the newest the last, and blocked
    those that are refused.
    """

    state: State
    generation: int = 1
    open: bool = False
    done: bool = True
    why: str = ""
    jti: str = ""
    thumbprint: str = ""
    request: str = ""
    serial: str = ""
    approved: str = ""
    address: str = ""
    image: str = ""
    first_seen: str = ""
    bound_at: str = ""
    identity_serial: str = ""
    renew_at: str = ""
    conflicts: tuple[Note, ...] = ()
    overlay: tuple[Issued, ...] = ()
    blocked: tuple[Issued, ...] = ()

    def noting(self, note: Note) -> Binding:
        """The same, with one more that was turned away; what is repeated is one note."""
        others = tuple(
            one
            for one in self.conflicts
            if (one.why, one.thumbprint, one.serial) != (note.why, note.thumbprint, note.serial)
        )
        return self.model_copy(update={"conflicts": (*others, note)[-MOST_NOTES:]})

    def closing(self, state: State, why: str) -> Binding:
        """The same on its way to be closed: its certificates are to be refused from now on."""
        blocked = (*self.blocked, *self.overlay)
        update = {"state": state, "why": why, "done": False, "overlay": (), "blocked": blocked}
        return self.model_copy(update=update)


class Used(Sent):
    """A claim is bound once, for ever: to this box and this key."""

    unit: str
    thumbprint: str


@dataclass(frozen=True)
class Expected:
    """What the merged fleet says of one box. serial None: nobody has said it yet."""

    fleet: str
    fleet_id: str
    key: str
    serial: str | None = None
    generation: int = 1
    revoked: bool = False


@dataclass(frozen=True)
class Held:
    """What Consul holds of one box: its binding, what its claim was used for, and what the box advanced its
    generation's value to (None: there is none). may_lock: whether that value can be relied on."""

    binding: Binding | None = None
    used: Used | None = None
    advanced: str | None = None
    may_lock: bool = True

    def for_generation(self, generation: int) -> Binding | None:
        """The binding, where it is this hardware's."""
        return self.binding if self.binding and self.binding.generation == generation else None


@dataclass(frozen=True)
class Asked:
    """What a request says of who made it, as far as it can be read."""

    thumbprint: str = ""
    serial: str = ""
    digest: str = ""
    jti: str = ""
    image: str = field(default="", compare=False)


def read_binding(data: bytes) -> Binding:
    """EnrollError where it is none."""
    return read(Binding, data, "a box's binding")


def read_used(data: bytes) -> Used:
    """EnrollError where it is none."""
    return read(Used, data, "what a claim was used for")


def expect(generation: int, before: Binding | None, address: str) -> Binding:
    """The record of a box that may ask: another generation's has nothing left but what is refused."""
    blocked = (*before.blocked, *before.overlay) if before else ()
    return Binding(state="expected", generation=generation, open=True, address=address, blocked=blocked)


def drop_ended(certificates: tuple[Issued, ...], now: datetime) -> tuple[Issued, ...]:
    """Those that have not ended by themselves."""
    return tuple(one for one in certificates if not one.has_ended(now))
