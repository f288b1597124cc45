"""The overlay's authority replaced by another, step by step, so that no step cuts a tunnel. Pure functions of values.

All members trust the new one beside the old one; then certificates are made by the new one; then the old one is trusted
no longer and its key is destroyed. Two members understand each other where each trusts who signed the other's
certificate: so nobody's is signed by the new one before all that could be cut trust it, and the old one goes when no
certificate of it is in use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from ritilib.errors import GitopsError, Problem

CERTIFICATE_HOURS = 30 * 24  # DESIGN, The overlay: 30 days, renewed at a third, with jitter
MOST_NAMED = 20  # of those that are waited for; their number is whole

# settled: one authority; spreading: the next one is trusted too; renewing: it signs, and the one before is trusted too;
# forgetting: that one is trusted no longer, and its key is to be destroyed
Phase = Literal["settled", "spreading", "renewing", "forgetting"]
Kind = Literal["pbx", "box"]  # a lighthouse's overlay is a Nomad task as a PBX's is
Action = Literal["rest", "note", "begin", "sign", "hasten", "retire", "destroy"]


@dataclass(frozen=True)
class Timing:
    """settle_s: from when all have it until one relies on it; Nebula looks at a tunnel's certificates each 10 s, and
    another thread may sign for 5 s by what it read before. away_s: so long is waited for a box that its PBX does not
    see. spread_s: over which certificates are renewed. hasty_s: the longest that is waited for anybody in haste."""

    settle_s: float = 60.0
    away_s: float = 3600.0
    spread_s: float = 24 * 3600.0
    hasty_s: float = 600.0
    look_s: float = 10.0
    look_late_s: float = 600.0


TIMING = Timing()


@dataclass(frozen=True)
class Wished:
    """What the merged fleet says: which authority is to sign, and whether whoever lags is left behind (at_once)."""

    generation: int = 1
    at_once: bool = False


@dataclass(frozen=True)
class Standing:
    """How far a fleet's authorities are, without a secret: the inventory's entry, beside Vault's document.

    generation is whose authority signs, next whose is introduced (0: nobody's); edition counts what members are told of
    authorities. since: of this phase, and
    renew_by: until when certificates are renewed (RFC 3339). whole_since: since when nobody was waited for; missing are
    the first of those that are, of missing_count.
    """

    generation: int = 1
    phase: Phase = "settled"
    edition: int = 1
    next: int = 0
    since: str = ""
    renew_by: str = ""
    whole_since: str = ""
    missing: tuple[str, ...] = ()
    missing_count: int = 0

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @property
    def core(self) -> Standing:
        """What Vault's document says too."""
        return replace(self, whole_since="", missing=(), missing_count=0)

    def find_age_s(self, now: datetime) -> float:
        """For how long this phase lasts."""
        return (now - datetime.fromisoformat(self.since)).total_seconds() if self.since else 0.0


@dataclass(frozen=True)
class Member:
    """One that has a certificate: edition and signed_by are what it is known to have in force (0: nothing is known).

    lag says why not, in words. is_away: its PBX does not see it, so that it has no tunnel that could be cut.
    """

    key: str
    kind: Kind
    edition: int
    signed_by: int
    is_away: bool = False
    lag: str = ""

    def has(self, standing: Standing) -> bool:
        """What this phase asks of all."""
        if standing.phase == "spreading":
            return self.edition >= standing.edition
        return self.signed_by >= standing.generation


@dataclass(frozen=True)
class Step:
    """What to do now; missing: who is waited for, with the reason; left_behind: who is not waited for (any more), and
    has not what the phase asks of all. again_s: when to look again (None: nothing is under way)."""

    action: Action
    missing: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    again_s: float | None = None


def needs_members(standing: Standing) -> bool:
    """Whether a decision needs to know who has what."""
    return standing.phase in ("spreading", "renewing")


def decide(
    standing: Standing, wished: Wished, members: Collection[Member], now: datetime, timing: Timing = TIMING
) -> Step:
    """The next step. members are all that have a certificate; where needs_members is not so, they are not looked at.

    What is under way is ended before another begins, and a number that is taken back takes nothing back.
    """
    if standing.phase == "settled":
        if wished.generation <= standing.generation:
            return Step("rest")
        return Step("begin", again_s=timing.look_s)
    if standing.phase == "forgetting":
        return Step("destroy", again_s=timing.look_s)
    if wished.at_once and standing.phase == "renewing" and datetime.fromisoformat(standing.renew_by) > now:
        return Step("hasten", again_s=timing.look_s)
    age_s = standing.find_age_s(now)
    lacking = [one for one in sorted(members, key=lambda one: one.key) if not one.has(standing)]
    awaited = [one for one in lacking if _is_awaited(one, standing, wished, now, timing)]
    missing = tuple(_name(one) for one in awaited)
    left_behind = tuple(_name(one) for one in lacking if one not in awaited)
    look_s = min(max(timing.look_s, age_s / 10), timing.look_late_s)
    if awaited:
        changed = standing.whole_since or _summarize(standing, missing) != standing
        return Step("note" if changed else "rest", missing, left_behind, look_s)
    if not standing.whole_since:
        return Step("note", (), left_behind, timing.settle_s)
    left_s = timing.settle_s - (now - datetime.fromisoformat(standing.whole_since)).total_seconds()
    if left_s > 0:
        return Step("rest", (), left_behind, left_s)
    return Step("sign" if standing.phase == "spreading" else "retire", (), left_behind, timing.look_s)


def note(standing: Standing, missing: Collection[str], now: datetime) -> Standing:
    """What "note" writes down: who is waited for, or since when nobody is."""
    since = "" if missing else standing.whole_since or now.isoformat()
    return replace(_summarize(standing, tuple(missing)), whole_since=since)


def find_turn(since: str, renew_by: str, name: str) -> datetime:
    """When a member's certificate is renewed, by its name, so that not all are in one hour."""
    start, end = datetime.fromisoformat(since), datetime.fromisoformat(renew_by)
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
    return start + (end - start) * share


def why_due(standing: Standing | None, edition: int, signed_by: int, key: str, now: datetime) -> str:
    """Why a unit's documents in Vault are to be written because of the authorities; "" where they are not."""
    if standing is None:
        return ""
    if edition != standing.edition:
        return "the overlay's authorities have changed"
    if standing.phase == "renewing" and signed_by < standing.generation:
        return "its overlay certificate is of the authority before" if is_turn(standing, key, now) else ""
    return "its overlay certificate is of an authority that is gone" if signed_by < _oldest(standing) else ""


def is_turn(standing: Standing, key: str, now: datetime) -> bool:
    """Whether a member is to have a certificate of the new authority by now."""
    return now >= find_turn(standing.since, standing.renew_by, key)


def find_next_turn(standing: Standing | None, keys: Collection[str], now: datetime) -> datetime | None:
    """The next moment at which a certificate is renewed; None where none is."""
    if standing is None or standing.phase != "renewing":
        return None
    turns = (find_turn(standing.since, standing.renew_by, key) for key in keys)
    return min((turn for turn in turns if turn > now), default=None)


def describe_standing(standing: Standing) -> str:
    """In one line, who is waited for too."""
    match standing.phase:
        case "spreading":
            words = f"authority {standing.next} of the overlay is introduced beside {standing.generation}"
        case "renewing":
            words = (
                f"authority {standing.generation} of the overlay signs, and the one before is still trusted"
            )
        case "forgetting":
            words = f"the key of the authority before {standing.generation} of the overlay is being destroyed"
        case _:
            return f"authority {standing.generation} of the overlay, alone"
    if not standing.missing_count:
        return f"{words}; nobody is waited for"
    more = standing.missing_count - len(standing.missing)
    some = "; ".join(standing.missing) + (f"; and {more} more" if more else "")
    return f"{words}; {standing.missing_count} waited for: {some}"


def read_standing(key: str, value: bytes) -> Standing:
    """The inventory's entry; GitopsError where it is none that this version writes."""
    try:
        return _STANDING.validate_json(value)
    except ValidationError as error:
        what = f"the inventory's entry {key} is not as this version of RITI writes it"
        mend = "see who wrote it; removed, it is made again from Vault"
        raise GitopsError([Problem("", 0, 0, what, mend)]) from error


def _is_awaited(member: Member, standing: Standing, wished: Wished, now: datetime, timing: Timing) -> bool:
    age_s = standing.find_age_s(now)
    if wished.at_once:
        asked = standing.renew_by or standing.since  # haste may have come in the middle of it
        late_s = (now - datetime.fromisoformat(asked)).total_seconds()
        return not member.is_away and late_s < timing.hasty_s
    if standing.phase == "spreading":
        # it gets the bundle through the gateway before its tunnel; what it has none of cannot be cut
        return not member.is_away or age_s < timing.away_s
    # by then the last certificate that the old authority signed has ended
    return age_s < CERTIFICATE_HOURS * 3600 + timing.settle_s


def _oldest(standing: Standing) -> int:
    """The oldest generation whose certificates are good."""
    return 0 if standing.phase in ("spreading", "renewing") else standing.generation


def _summarize(standing: Standing, missing: tuple[str, ...]) -> Standing:
    return replace(standing, missing=missing[:MOST_NAMED], missing_count=len(missing))


def _name(member: Member) -> str:
    kind = "box of " if member.kind == "box" else ""
    return f"{kind}{member.key}" + (f": {member.lag}" if member.lag else "")


def begin(standing: Standing, wished: Wished, now: datetime) -> Standing:
    """The next authority is trusted too."""
    return _start(standing, now, phase="spreading", next=wished.generation)


def sign(standing: Standing, wished: Wished, now: datetime, timing: Timing = TIMING) -> Standing:
    """It signs from now on."""
    spread = timedelta(seconds=0 if wished.at_once else timing.spread_s)
    renew_by = (now.astimezone(UTC) + spread).isoformat()
    return _start(standing, now, phase="renewing", generation=standing.next, next=0, renew_by=renew_by)


def hasten(standing: Standing, now: datetime) -> Standing:
    """All certificates are renewed now."""
    moment = now.astimezone(UTC).isoformat()
    return replace(_start(standing, now, renew_by=moment), since=standing.since)


def retire(standing: Standing, now: datetime) -> Standing:
    """The authority before is trusted no longer."""
    return _start(standing, now, phase="forgetting", renew_by="")


def settle(standing: Standing, now: datetime) -> Standing:
    """Its key is destroyed; nobody is told anything new."""
    return replace(_start(standing, now, phase="settled"), edition=standing.edition)


def _start(standing: Standing, now: datetime, **said: Any) -> Standing:
    since = now.astimezone(UTC).isoformat()
    return replace(standing.core, edition=standing.edition + 1, since=since, **said)


_STANDING = TypeAdapter(Standing)
