"""The leader's own view of the fleet: one value in Consul, from which nothing is ever decided.

Whoever reads it makes of its epoch, and of the leader's lock, whether it is still the view of somebody who leads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from ritilib.errors import GitopsError, Problem
from ritilib.reconcile.entry import encode_entry

STATUS_FORMAT = 1
LONGEST_LIST = 50  # of each list the first; counts has the whole number
LONGEST_TEXT = 400
MOST_BYTES = 256 * 1024  # half of what Consul takes in one value

# calls: the PBX has some; wave: its turn comes later; stopped: its rollout did not go well; else the fleet's own wish
Hold = Literal["calls", "wave", "stopped", "wish", "secrets"]


class _Versioned(Protocol):
    @property
    def format(self) -> int: ...


Value = TypeVar("Value", bound=_Versioned)


@dataclass(frozen=True)
class Trouble:
    """One problem in the words that the journal has, and its mend."""

    what: str
    mend: str = ""


@dataclass(frozen=True)
class Leader:
    """who is "host:pid"; since is RFC 3339."""

    who: str = ""
    since: str = ""
    epoch: int = 0


@dataclass(frozen=True)
class Commit:
    """wanted is what the servers are made equal to; applied, at applied_at, is the last to which they were."""

    wanted: str = ""
    applied: str = ""
    applied_at: str = ""


@dataclass(frozen=True)
class Wave:
    """As reconcile.rollout.Turn: wave of waves (0: none is left), until when the next one waits, why it was stopped."""

    wave: int = 0
    waves: int = 0
    until: str = ""
    stopped: str = ""


@dataclass(frozen=True)
class HeldUnit:
    """A unit that is left as it was, and since when."""

    unit: str
    kind: Hold
    why: str
    since: str


@dataclass(frozen=True)
class FailingUnit:
    """A unit with which something went wrong. next_try is "" for one that went back: it is tried when Git changes."""

    unit: str
    state: Literal["failing", "gone-back"]
    what: str
    mend: str
    failures: int
    since: str
    next_try: str = ""


@dataclass(frozen=True)
class WatchedUnit:
    """A unit that was replaced, and of which it is not known yet whether it is well."""

    unit: str
    why: str
    since: str


@dataclass(frozen=True)
class DownUnit:
    """A unit of which nothing runs, which no cycle mends."""

    unit: str
    what: str
    mend: str
    since: str


@dataclass(frozen=True)
class WaitingUnit:
    """A unit that no manifest names, and until when it stays ("": until the doubt is gone)."""

    unit: str
    until: str
    why: str


@dataclass(frozen=True)
class PausedScope:
    """What is left alone for one reason (reconcile.suspensions.Pause): scope "" is the fleet; waits is how many units
    are not as wished because of it, named the first of them with why."""

    scope: str
    by: str
    why: str
    who: str
    since: str
    until: str
    waits: int
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class HealedUnit:
    """A unit that somebody else had changed, and when it was put back."""

    unit: str
    at: str


@dataclass(frozen=True)
class Spell:
    """Something that went wrong from since until a time ("": it still does)."""

    since: str
    until: str
    problems: tuple[Trouble, ...]


@dataclass(frozen=True)
class Counts:
    """Units of the wanted commit; left were not tried, since the cycle was to end or a server was away.

    problems counts what belongs to no unit of held and failing.
    """

    units: int = 0
    as_wished: int = 0
    held: int = 0
    failing: int = 0
    watched: int = 0
    down: int = 0
    waiting: int = 0
    left: int = 0
    problems: int = 0
    paused: int = 0


@dataclass(frozen=True)
class Status:
    """The value. Times are RFC 3339 in UTC, "" where there is none. begun: units that the cycle that goes on has begun,
    0 where none does. failed_cycle: the last that could not read what it needs; git: why no newer commit is used."""

    fleet: str
    format: int = STATUS_FORMAT
    written: str = ""
    leader: Leader = Leader()
    commit: Commit = Commit()
    whole: bool = False
    begun: int = 0
    counts: Counts = Counts()
    rollout: Wave = Wave()
    held: tuple[HeldUnit, ...] = ()
    failing: tuple[FailingUnit, ...] = ()
    watched: tuple[WatchedUnit, ...] = ()
    down: tuple[DownUnit, ...] = ()
    waiting: tuple[WaitingUnit, ...] = ()
    problems: tuple[Trouble, ...] = ()
    healed: tuple[HealedUnit, ...] = ()
    failed_cycle: Spell | None = None
    git: Spell | None = None
    paused: tuple[PausedScope, ...] = ()

    def to_bytes(self) -> bytes:
        """Its JSON, no longer than MOST_BYTES: where texts are that long, lists are cut further."""
        longest = LONGEST_LIST
        while len(encoded := _encode(self, longest)) > MOST_BYTES and longest:
            longest //= 2
        return encoded


_STATUS = TypeAdapter(Status)


def read_status(key: str, value: bytes) -> Status:
    """The value in Consul; GitopsError where it is none that this version writes."""
    return decode_value(key, value, _STATUS, STATUS_FORMAT)


def decode_value(key: str, value: bytes, kind: TypeAdapter[Value], its_format: int) -> Value:
    """What a value of ours says; GitopsError where it says something that this version does not write."""
    try:
        found = kind.validate_json(value)
    except ValidationError as error:
        raise _refuse(key) from error
    if found.format != its_format:
        raise _refuse(key)
    return found


def _refuse(key: str) -> GitopsError:
    what = f"{key} in Consul is not as this version of RITI writes it"
    return GitopsError.because(what, "it is written again when something changes; nothing depends on it")


def shorten(text: str) -> str:
    """The first LONGEST_TEXT characters, with a mark where there are more."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def make_troubles(problems: Iterable[Problem], hide: Callable[[str], str]) -> tuple[Trouble, ...]:
    """Problems as they are published: each with its place, and without what hide takes out."""
    made = (
        Trouble(shorten(hide(str(replace(problem, mend="")))), shorten(hide(problem.mend)))
        for problem in problems
    )
    return tuple(dict.fromkeys(made))


def _encode(status: Status, longest: int) -> bytes:
    value: dict[str, Any] = asdict(status)
    for one in fields(status):
        if isinstance(value[one.name], tuple | list):
            value[one.name] = list(value[one.name])[:longest]
    for name in ("failed_cycle", "git"):
        if value[name]:
            value[name]["problems"] = list(value[name]["problems"])[:longest]
    return encode_entry(value)
