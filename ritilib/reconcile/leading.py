"""Who leads, as Consul's lock says it, and until when a leader may believe it: values and decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from ritilib.errors import GitopsError, Problem


@dataclass(frozen=True)
class Timing:
    """How a leadership is held; seconds.

    ttl_s: Consul ends a session that is not renewed after this time at the earliest, after twice this at the latest
    (1.15.3, SessionTTLMultiplier), and takes 10 at the least. renew_s: between two renewals. margin_s: so much before
    ttl_s the leader stops by itself, which leaves its last request time to arrive. lock_delay_s: after a session that
    was ended (not after a clean end) nobody leads for so long, and what it had sent arrives meanwhile. token_ttl_s:
    its tokens end by themselves; 24 h is the most that Nomad and Consul give as they come, and neither renews.
    term_s: so long it leads at the most, and then stands for election again, well before its tokens end.
    """

    ttl_s: float = 15.0
    renew_s: float = 4.0
    margin_s: float = 3.0
    lock_delay_s: float = 1.0
    token_ttl_s: int = 12 * 3600
    term_s: float = 11 * 3600.0


@dataclass(frozen=True)
class Lead:
    """The lock's value. epoch grows by one with each leader; tokens are the accessors, by server, of all tokens of
    leaders that may still be good (an accessor is no secret)."""

    who: str
    since: str
    epoch: int
    tokens: Mapping[str, tuple[str, ...]]

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()


_LEAD = TypeAdapter(Lead)


def read_lead(key: str, value: bytes) -> Lead:
    """The lock's value; GitopsError where it is none that this version writes."""
    try:
        return _LEAD.validate_json(value)
    except ValidationError as error:
        what = f"the lock {key} does not say who leads in the words of this version of RITI"
        mend = "end the other controller, see who wrote it, and remove the key; a new leader makes it again"
        raise GitopsError([Problem("", 0, 0, what, mend)]) from error


def succeed(former: Lead | None, who: str, since: str) -> Lead:
    """What a new leader writes when it takes the lock: its predecessors' tokens stay named until they are revoked."""
    if former is None:
        return Lead(who, since, 1, {})
    return Lead(who, since, former.epoch + 1, former.tokens)


def judge_hold(timing: Timing, began_s: float, renewed_s: float, now_s: float) -> str:
    """Why a leader must not write any more; "" while it may. All three times are of its own clock.

    renewed_s is when the last renewal that went well was *sent*: Consul counts from its arrival, which is later.
    """
    silent_s = now_s - renewed_s
    if silent_s >= timing.ttl_s - timing.margin_s:
        return f"its session in Consul was last renewed {silent_s:.0f} s ago"
    if now_s - began_s >= timing.term_s:
        return f"its term of {timing.term_s / 3600:.0f} h is over"
    return ""
