"""What `riti suspend` leaves in Consul, and what is shown of whatever is left alone: values, and how they are read.

An entry stays when it is lifted, and says by whom: Consul forgets a deletion after 15 minutes, and the index of the
inventory would then go backwards, as after a restore.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints, TypeAdapter, ValidationError

from ritilib.errors import Problem
from ritilib.fleet.kinds import REMOVAL_PATTERN
from ritilib.reconcile.entry import encode_entry

FLEET_ENTRY = "_fleet"  # no company's name starts with an underscore
SUSPENDING = ("command", "git")  # by what nothing of a scope is written
_SCOPE = re.compile(REMOVAL_PATTERN)


@dataclass(frozen=True)
class Suspension:
    """Nothing of a scope is written: "" is the fleet, "acme" a company (or "lighthouse"), "acme/salto" a unit.

    since and until are RFC 3339 (until "": until it is lifted); lifted_at says when somebody did. fault: what is wrong
    with the entry, which then counts as a suspension without an end.
    """

    scope: str
    why: str
    who: str
    since: str
    until: str = ""
    lifted_by: str = ""
    lifted_at: str = ""
    fault: Problem | None = None

    @property
    def ends(self) -> datetime | None:
        """When it ends by itself; None where it does not."""
        return datetime.fromisoformat(self.until) if self.until else None

    def is_in_force(self, now: datetime) -> bool:
        """Whether it holds at that moment."""
        ends = self.ends
        return not self.lifted_at and (ends is None or now < ends)

    def to_bytes(self) -> bytes:
        """The entry's value."""
        said = {key: value for key, value in asdict(self).items() if key not in ("scope", "fault")}
        return encode_entry(said)


@dataclass(frozen=True)
class _Entry:
    why: Annotated[str, StringConstraints(min_length=1)]
    who: str
    since: str
    until: Literal[""] | AwareDatetime = ""
    lifted_by: str = ""
    lifted_at: Literal[""] | AwareDatetime = ""


_ENTRY = TypeAdapter(_Entry)


@dataclass(frozen=True)
class Pause:
    """What is left alone for one reason, however many units it is.

    scope is as in Suspension. by: "command" and "git" suspend; "window": changes of Git wait for it; "hand": what a
    hand changed is not put back. covers is how many units there are of the scope, waits how many of them are not as
    wished; named are the first of those, each with why. until: when it ends by itself.
    """

    scope: str
    by: Literal["command", "git", "window", "hand"]
    why: str
    who: str = ""
    since: str = ""
    until: datetime | None = None
    covers: int = 0
    waits: int = 0
    named: tuple[str, ...] = ()


def name_entry(scope: str) -> str:
    """The last part of an entry's key."""
    return scope or FLEET_ENTRY


def is_scope(scope: str) -> bool:
    """Whether it may name a company or a unit."""
    return bool(_SCOPE.fullmatch(scope))


def read_suspension(key: str, name: str, value: bytes) -> Suspension:
    """The entry at key, whose last part is name.

    One that cannot be read suspends its scope, and one that names no scope the fleet: it has a fault.
    """
    scope = "" if name == FLEET_ENTRY or not is_scope(name) else name
    if name != FLEET_ENTRY and not scope:
        return _fail(key, "", "names neither a company nor a unit", "see who wrote it, and remove this key")
    try:
        said = _ENTRY.validate_json(value)
    except ValidationError:
        mend = f"see who wrote it, then `{write_command('resume', scope)}`"
        return _fail(key, scope, "is not as this version of RITI writes it", mend)
    until, lifted_at = (one.isoformat() if one else "" for one in (said.until, said.lifted_at))
    return Suspension(scope, said.why, said.who, said.since, until, said.lifted_by, lifted_at)


def _fail(key: str, scope: str, what: str, mend: str) -> Suspension:
    words = f"the suspension {key} {what}: {describe_scope(scope)} counts as suspended"
    fault = Problem("", 0, 0, words, mend)
    return Suspension(scope, "its entry cannot be read", "", "", fault=fault)


def list_scopes(key: str) -> tuple[str, str, str]:
    """The scopes that a unit is in, the widest first."""
    return "", key.split("/")[0], key


def find_suspension(key: str, suspensions: Collection[Suspension], now: datetime) -> Suspension | None:
    """The widest of those in force that cover a unit."""
    found = [one for one in suspensions if one.scope in list_scopes(key) and one.is_in_force(now)]
    return min(found, key=lambda one: len(one.scope), default=None)


def describe_scope(scope: str) -> str:
    """What people call it."""
    return scope or "the fleet"


def write_command(command: str, scope: str) -> str:
    """The command for a scope: `riti resume acme`."""
    return f"riti {command} {scope}".rstrip()
