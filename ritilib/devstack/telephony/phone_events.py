"""What a phone's program tells: baresip's control protocol, JSON in netstrings, folded into calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["dialled", "ringing", "established", "closed"]

_ORDER: tuple[State, ...] = ("dialled", "ringing", "established", "closed")
_STATE_OF_EVENT: Mapping[str, State] = {
    "CALL_RINGING": "ringing",
    "CALL_INCOMING": "ringing",
    "CALL_ESTABLISHED": "established",
    "CALL_CLOSED": "closed",
}


@dataclass(eq=False)
class Call:
    """One call of a phone.

    number is what was dialled, or the caller's; reason says why it was closed, as SIP put it ("486 Busy
    Here", "Connection reset by peer" for the other side's BYE). Times are of the monotonic clock, 0 = not
    yet.
    """

    number: str
    outgoing: bool
    id: str = ""
    state: State = "dialled"
    passed: set[State] = field(default_factory=set)
    reason: str = ""
    recording: Path | None = None
    established_at_s: float = 0.0
    closed_at_s: float = 0.0
    taken: bool = False
    end_told: bool = False
    waiter: Callable[[State, float, Call], Call] | None = field(default=None, repr=False)

    def has_reached(self, state: State) -> bool:
        """Whether the call is, or was, in this state; one that is established counts as having rung."""
        return state in self.passed or (
            self.state != "closed" and _ORDER.index(self.state) >= _ORDER.index(state)
        )

    def wait_for(self, state: State, timeout_s: float) -> Call:
        """`Phone.wait_for` about this call."""
        assert self.waiter is not None
        return self.waiter(state, timeout_s, self)

    @property
    def is_live(self) -> bool:
        return self.state != "closed"


@dataclass
class Calls:
    """All calls of one phone, oldest first; waiter is the phone's `wait_for`."""

    waiter: Callable[[State, float, Call], Call] | None = None
    all: list[Call] = field(default_factory=list)

    def register(self, event: Mapping[str, Any], now_s: float) -> Call | None:
        """Enter one event; the call that it is about, None where it is about none."""
        if not str(event.get("type", "")).startswith("CALL_") or not event.get("id"):
            return None
        call = self._find(event)
        state = _STATE_OF_EVENT.get(event["type"])
        if state is None or not call.is_live:
            return call
        call.state = state
        call.passed.add(state)
        if state == "established":
            call.established_at_s = now_s
        elif state == "closed":
            call.closed_at_s = now_s
            call.reason = str(event.get("param", ""))
        return call

    def choose(self, state: State, in_hand: Call | None) -> Call | None:
        """The call that one without any in mind waits for; None: it has yet to come.

        It is the one in hand, unless that is over and its story told; then the oldest incoming one not yet
        taken.
        """
        if in_hand is not None:
            over = in_hand.end_told or not in_hand.outgoing or "established" in in_hand.passed
            if in_hand.is_live or state == "closed" or not over:
                return in_hand
        return next((call for call in self.all if not call.outgoing and not call.taken), None)

    def dial(self, number: str) -> Call:
        """A new call of our own, before its first event."""
        return self.add(Call(number=number, outgoing=True, taken=True, waiter=self.waiter))

    def add(self, call: Call) -> Call:
        self.all.append(call)
        return call

    def _find(self, event: Mapping[str, Any]) -> Call:
        for call in self.all:
            if call.id == event["id"]:
                return call
        number = str(event.get("peeruri", "")).removeprefix("sip:").partition("@")[0]
        outgoing = event.get("direction") == "outgoing"
        for call in self.all:  # the answer to "dial" holds no id: the first event of that number brings it
            if outgoing and call.outgoing and not call.id and call.is_live and call.number == number:
                call.id = event["id"]
                return call
        return self.add(Call(number=number, outgoing=outgoing, id=event["id"], waiter=self.waiter))


def split_netstrings(received: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """The whole messages at the start of received, and the bytes that remain for the next time."""
    messages = []
    while b":" in received:
        length, _, rest = received.partition(b":")
        end = int(length)
        if len(rest) <= end:  # the comma after it has not come yet
            break
        messages.append(json.loads(rest[:end].decode(errors="replace")))
        received = rest[end + 1 :]
    return messages, received


def write_netstring(message: Mapping[str, str]) -> bytes:
    body = json.dumps(message).encode()
    return b"%d:%s," % (len(body), body)
