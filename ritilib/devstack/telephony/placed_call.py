"""Placing one call in a running fleet, and what became of it, as a value.

Nothing is taken on trust: "answered by acme/salto:201" is said when the channels lead from the caller's telephone to
that telephone, that telephone has the call, and each of the two hears the other's own tone (Goertzel, on what it
recorded). A call costs about half a second, most of it in listening; calls of different telephones run side by side.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from ritilib.devstack.processes import poll
from ritilib.devstack.telephony.audio import read_wav, share_at
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.public import EMERGENCY_HZ, STRANGER_HZ
from ritilib.devstack.telephony.public import NAME as PUBLIC
from ritilib.devstack.telephony.trace import COMMANDS, Channel, Trace, read_snapshot, trace_call
from ritilib.errors import DevstackError

Kind = Literal[
    "answered", "busy", "no answer", "refused", "emergency", "stranger", "menu", "played", "unclear"
]

PATIENCE_S = 10.0
CONNECTED_S = 3.0
HEARD_S = 3.0
QUIET_S = 5.0
UNDECIDED_S = 0.5
LISTEN_S = 0.2  # two windows of share_at
SHARE_LEAST = 0.9
# context of the public network's dial plan → what became of a call that has ended up there
_HEARD: dict[str, Kind] = {
    "emergency": "emergency",
    "stranger": "stranger",
    "busy": "busy",
    "unanswered": "no answer",
    "ring": "no answer",
    "nobody": "refused",
}
_SPEAKING = {"emergency": EMERGENCY_HZ, "stranger": STRANGER_HZ}
_ASKING = "Read"  # Asterisk's application of menus
# a dial plan that waits so long is playing something to its end, and not about to dial
_PLAYING_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    kind: answered (by a telephone) · busy and no answer (signalled, or heard on the line) · refused (status has SIP's
    words) · emergency and stranger (that service, or that person, of the public network speaks) · menu (an Asterisk of
    ours took the call and waits for a key; status is the context) · played (an Asterisk of ours took the call, or not
    even that, and plays something; status says where) · unclear (status says what does
    not fit together: a fault of the laboratory or of what it runs). by: "acme/salto:201", for no answer whoever rang.
    path: the nodes and lines passed, the caller's box first; () for a call that was never connected. setup_s: from
    dialling until both ends are connected, or to the end without that.
    """

    kind: Kind
    by: str = ""
    status: str = ""
    path: tuple[str, ...] = ()
    setup_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class _Ends:
    """The caller's call, and the incoming ones that must be over before the next."""

    caller: Callee
    call: Call
    incoming: list[tuple[Callee, Call]] = field(default_factory=list)


def place_call(
    fleet: RunningFleet, box: str, extension: str, dialled: str, patience_s: float = PATIENCE_S
) -> Outcome:
    """Dial, wait at most patience_s for an answer, judge, hang up, and return when telephones and lines are free again.

    Raises DevstackError where a telephone's program fails or a call does not end.
    """
    caller = fleet.phones[box, extension]
    start_s = time.monotonic()
    ends = _Ends(caller, caller.phone.dial(dialled))
    early = _wait_decided(fleet, ends, start_s + patience_s)
    if not ends.call.is_live:
        kind: Kind = "busy" if ends.call.reason.startswith("486") else "refused"
        return Outcome(kind, status=ends.call.reason, setup_s=ends.call.closed_at_s - start_s)
    outcome = Outcome("unclear")
    try:
        if ends.call.state == "established":
            outcome = _judge(fleet, ends, max(CONNECTED_S, start_s + patience_s - time.monotonic()))
            # on a line, the caller is connected long before the callee
            answers = [ends.call.established_at_s, *(call.established_at_s for _, call in ends.incoming)]
            outcome = replace(outcome, setup_s=max(answers) - start_s)
        elif early is not None:
            outcome = early
        else:
            ends.incoming.extend(_find_rung(fleet, ends))
            outcome = Outcome("no answer", _name(ends), ends.call.state, setup_s=time.monotonic() - start_s)
    finally:
        caller.phone.hang_up(ends.call)
        _wait_free(fleet, ends, outcome)
    return outcome


def _wait_decided(fleet: RunningFleet, ends: _Ends, until_s: float) -> Outcome | None:
    """Return when the call is answered, over or too long undecided; the outcome where its box plays unanswered."""
    node = f"box:{ends.caller.box}"
    while ends.call.state not in ("established", "closed") and (left_s := until_s - time.monotonic()) > 0:
        # it ended instead, or nothing was decided yet: the call's state says which
        with suppress(DevstackError):
            ends.caller.phone.wait_for("established", min(UNDECIDED_S, left_s), ends.call)
            return None
        channel = read_snapshot(fleet.nodes[node].ask(*COMMANDS)).find(f"PJSIP/{ends.caller.endpoint}")
        if channel is not None and channel.state != "Up" and _is_playing(channel):
            return _describe_playing(channel, (node,))
    return None


def _describe_playing(end: Channel, path: tuple[str, ...]) -> Outcome:
    if end.application == _ASKING:
        return Outcome("menu", "", end.context, path)
    return Outcome("played", "", f"{end.context}: {end.application}({end.data})", path)


def _judge(fleet: RunningFleet, ends: _Ends, timeout_s: float) -> Outcome:
    traces: list[Trace] = []
    known = fleet.map

    def ask(node: str) -> str:
        return fleet.nodes[node].ask(*COMMANDS)

    def is_connected() -> bool:
        traces.append(trace_call(ends.caller.box, ends.caller.endpoint, known, ask))
        return bool(traces[-1].phone) or _is_playing(traces[-1].end) or not ends.call.is_live

    poll(is_connected, timeout_s)
    trace = traces[-1]
    if trace.phone:
        return _judge_telephone(fleet, ends, trace)
    if trace.end is None:
        return Outcome("unclear", "", f"connected as far as {trace.hops[-1]}", trace.hops)
    if trace.hops[-1] == PUBLIC and trace.end.context in _HEARD:
        kind, tone_hz = _HEARD[trace.end.context], _SPEAKING.get(trace.end.context)
        if tone_hz and not hears(ends.caller, ends.call, tone_hz):
            return Outcome("unclear", "", f"{trace.end.context} is not heard", trace.hops)
        ends.incoming.extend(_find_rung(fleet, ends) if trace.end.context == "ring" else [])
        return Outcome(kind, _name(ends), f"on the line: {trace.end.context}", trace.hops)
    return _describe_playing(trace.end, trace.hops)


def _is_playing(end: Channel | None) -> bool:
    if end is None or end.application not in (_ASKING, "Wait"):
        return False
    return end.application == _ASKING or float(end.data) >= _PLAYING_S


def _judge_telephone(fleet: RunningFleet, ends: _Ends, trace: Trace) -> Outcome:
    callee = next(
        (one for one in fleet.phones.values() if (one.box, one.endpoint) == (trace.box, trace.phone)), None
    )
    incoming = callee.find_call() if callee else None
    if callee is None or incoming is None:
        return Outcome("unclear", f"{trace.box}:{trace.phone}", "that telephone has no call", trace.hops)
    ends.incoming.append((callee, incoming))
    if not hears(ends.caller, ends.call, callee.tone_hz):
        return Outcome("unclear", callee.name, "the caller does not hear the callee", trace.hops)
    if not hears(callee, incoming, ends.caller.tone_hz):
        return Outcome("unclear", callee.name, "the callee does not hear the caller", trace.hops)
    return Outcome("answered", callee.name, "", trace.hops)


def hears(listener: Callee, call: Call, tone_hz: int) -> bool:
    """Whether the tone fills the last moment of what this end has recorded, within HEARD_S."""

    def fills() -> bool:
        if call.recording is None:
            return False  # the answer is still on its way
        recording = listener.phone.recording_of(call)
        length_s = recording.length_s()
        if length_s < LISTEN_S:
            return False
        samples, rate_hz = read_wav(recording.path, length_s - LISTEN_S)
        return share_at(samples, rate_hz, tone_hz) >= SHARE_LEAST

    return poll(fills, HEARD_S)


def _name(ends: _Ends) -> str:
    return ", ".join(callee.name for callee, _ in ends.incoming)


def _find_rung(fleet: RunningFleet, ends: _Ends) -> list[tuple[Callee, Call]]:
    """The telephones that ring with this caller's number: its extension, or what a line shows of it."""
    own = {ends.caller.extension, fleet.outside.adapter.user}
    shown = fleet.outside.country.write_dialled
    own |= {shown(line.number) for line in fleet.outside.lines if line.box == ends.caller.box}
    ringing = [(one, call) for one in fleet.phones.values() if (call := one.find_call()) is not None]
    return [(one, call) for one, call in ringing if one is not ends.caller and call.number in own]


def _wait_free(fleet: RunningFleet, ends: _Ends, outcome: Outcome) -> None:
    """Return when the other telephones have hung up, and the public network has the lines of the path free."""
    for callee, call in ends.incoming:
        callee.phone.wait_for("closed", QUIET_S, call)
    lines = fleet.map.lines
    held = [
        f"PJSIP/{lines[box]}-"
        for hop in outcome.path
        for kind, _, box in [hop.partition(":")]
        if kind == "line"
    ]
    if held:
        public = fleet.nodes[PUBLIC]
        wait_until(
            lambda: not any(name in public.ask("core show channels concise") for name in held),
            QUIET_S,
            f"the lines of {', '.join(outcome.path)} are free",
        )
