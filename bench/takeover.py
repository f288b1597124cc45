"""A call in progress whose way dies: from the cut until the caller hears the callee again, by the next rung.

Real Asterisks and watchers, as they were rendered, in the laboratory of `ritilib.devstack.telephony.company`; the
callee's telephone answers by itself. Cuts come at random moments of Asterisk's own checks, in turns at each part of the
first way. The floor is the time until Asterisk itself calls the peer unreachable. Outages of 1.5 s are played too: none
of them may cut a call.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.lab.fleets import make_fleet
from bench.measure import hold_stack, read_memory_mb
from ritilib.clients.docker import Docker
from ritilib.devstack.telephony.audio import longest_gap_s, read_wav
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import (
    Failure,
    LinkCut,
    MeshCut,
    PathCut,
    PbxDead,
    hold_failure,
)
from ritilib.devstack.telephony.phone import Recording
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.placed_call import hears
from ritilib.devstack.telephony.public import describe_outside
from ritilib.devstack.telephony.trace import COMMANDS, trace_call
from ritilib.errors import DevstackError
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree

ROUNDS = 30
SHORT_OUTAGES = 15
SHORT_OUTAGE_S = 1.5
# of the mesh, whose checks are the rarest
CHECK_PERIOD_S = 2.0
# a question that an outage swallowed is given up after it: so late may Asterisk still call the peer unreachable
LATE_S = 3.0
LOOK_EVERY_S = 0.005
DEADLINE_S = 30.0
# an outage shows as at least so long a time without the tone; the jitter buffer covers up for less
PAUSE_S = 0.5
LABEL = "riti-bench-takeover"
CALLER, CALLEE, DIALLED = "c0/b0", "c0/b1", "1010"
EXTENSION = "1000"
LINES = {CALLER: "+59820000000", CALLEE: "+59820000010"}  # the public numbers of 1000 and 1010
ROUND_TRIP_MS = 20


@dataclass(frozen=True)
class Cut:
    """A failure, and the nearest node to the caller that sees it, with the name of the peer that it misses."""

    failure: Failure
    node: str
    peer: str


CUTS: Mapping[str, Cut] = {
    "own link": Cut(PathCut(f"box:{CALLER}", f"pbx:{CALLER}"), f"box:{CALLER}", "cloud"),
    "office cut off": Cut(LinkCut(CALLER), f"box:{CALLER}", "cloud"),
    "mesh": Cut(MeshCut(CALLER, CALLEE), f"pbx:{CALLER}", "pbx-b1"),
    "callee's link": Cut(PathCut(f"pbx:{CALLEE}", f"box:{CALLEE}"), f"pbx:{CALLEE}", "box"),
    "own PBX killed": Cut(PbxDead((CALLER,)), f"box:{CALLER}", "cloud"),
}
OUTAGES = tuple(name for name, cut in CUTS.items() if not isinstance(cut.failure, PbxDead))


@dataclass
class Takeover:
    """Seconds from the cut on, 0 as long as it has not happened.

    noticed: Asterisk calls the peer unreachable. freed: the watcher has ended the leg. ringing: the callee's telephone
    rings again. back: the caller hears the callee. way: what the call takes then.
    """

    kind: str
    noticed_s: float = 0.0
    freed_s: float = 0.0
    ringing_s: float = 0.0
    back_s: float = 0.0
    way: str = ""


@dataclass
class Ear:
    """What the caller has heard of the callee's tone. since_s: until where it was looked through."""

    recording: Recording
    tone_hz: int
    since_s: float = 0.0
    heard_at: float = field(default_factory=time.monotonic)

    def listen(self) -> float:
        """Seconds for which the tone was missing before what has come now; 0 where none has come."""
        if self.recording.length_s() < self.since_s + 0.02:
            return 0.0
        now = time.monotonic()
        samples, rate_hz = read_wav(self.recording.path, self.since_s)
        length_s = len(samples) // (rate_hz // 50) / 50
        self.since_s += length_s
        if longest_gap_s(samples, rate_hz, self.tone_hz) >= length_s - 0.01:
            return 0.0  # ringing, or nothing
        # the new stretch itself is none of it: it may be long where making the failure took a while
        missing_s, self.heard_at = now - self.heard_at - length_s, now
        return missing_s


def run(report: Callable[[str], None], rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """One object for each kind of cut, and one of all; seconds are from the cut on."""
    files = make_fleet(2)
    for box, number in LINES.items():
        said = f'line: {{number: "{number}"}}\nlink: {{round_trip_ms: {ROUND_TRIP_MS}}}\n'
        files[f"fleet/boxes/{box}.yaml"] += said.encode()
    loaded = load_fleet(files)
    tree, outside = render_tree(loaded, files, "bench"), describe_outside(loaded.fleet)
    with hold_stack(report) as stack, tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        docker = Docker(stack.docker_host)
        with hold_fleet(docker, tree, outside, Path(folder), LABEL, report) as fleet:
            return measure(fleet, rounds, report)


def measure(fleet: RunningFleet, rounds: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """The figures of so many cuts in a laboratory that is up."""
    kinds = list(CUTS)
    taken: list[Takeover] = []
    for number in range(rounds):
        taken.append(_cut_once(fleet, kinds[number % len(kinds)]))
        report(f"cut {number + 1} of {rounds}: {taken[-1]}")
    lost = 0
    for number in range(SHORT_OUTAGES):
        kind = OUTAGES[number % len(OUTAGES)]
        survived = _survives(fleet, CUTS[kind].failure)
        report(f"outage of {SHORT_OUTAGE_S} s, {number + 1} of {SHORT_OUTAGES}, {kind}: survived {survived}")
        lost += not survived
    memory = [_read_memory(fleet, role) for role in ("watch", "start")]
    rows = [_summarise(kind, [one for one in taken if one.kind == kind]) for kind in kinds]
    together = _summarise("all", taken) | {
        "short_outages": SHORT_OUTAGES,
        "short_outages_cut": lost,
        "watcher_rss_mb": round(sum(rss for rss, _ in memory), 1),
        "watcher_pss_mb": round(sum(pss for _, pss in memory), 1),
    }
    return [*rows, together]


def _summarise(kind: str, taken: Sequence[Takeover]) -> dict[str, Any]:
    floor_s = statistics.median(one.noticed_s for one in taken)
    back_s = statistics.median(one.back_s for one in taken)
    return {
        "bench": "takeover",
        "cut": kind,
        "rounds": len(taken),
        "voice_back_s": round(back_s, 2),
        "worst_s": round(max(one.back_s for one in taken), 2),
        "floor_s": round(floor_s, 2),
        "ratio": round(back_s / floor_s, 2),
        "freed_s": round(statistics.median(one.freed_s for one in taken), 2),
        "freed_worst_s": round(max(one.freed_s for one in taken), 2),
        "dialling_s": round(statistics.median(one.ringing_s - one.freed_s for one in taken), 2),
        "answering_s": round(statistics.median(one.back_s - one.ringing_s for one in taken), 2),
        "ways": sorted({one.way for one in taken}),
    }


def _cut_once(fleet: RunningFleet, kind: str) -> Takeover:
    cut, one = CUTS[kind], Takeover(kind)
    caller, callee = fleet.phones[CALLER, EXTENSION], fleet.phones[CALLEE, DIALLED]
    call = _call(fleet, caller, callee)
    rings = callee.phone.rings
    near = fleet.nodes[cut.node]
    freed_before = near.read_state()["freed_legs"]
    ear = Ear(caller.phone.recording_of(call), callee.tone_hz)
    time.sleep(random.uniform(0, CHECK_PERIOD_S))
    ear.listen()
    cut_at = time.monotonic()
    with hold_failure(fleet, cut.failure, settle=False):
        while not one.back_s:
            now_s = time.monotonic() - cut_at
            if now_s > DEADLINE_S or not call.is_live:
                what = f"{kind}: the voice is not back after {now_s:.1f} s; the call is {call.state}: {one}"
                raise DevstackError.because(what, "see the logs of the nodes")
            state = near.read_state()
            if not one.noticed_s and state["peers"][cut.peer] == "unreachable":
                one.noticed_s = now_s
            if not one.freed_s and state["freed_legs"] > freed_before:
                one.freed_s = now_s
            if not one.ringing_s and callee.phone.rings > rings:
                one.ringing_s = now_s
            if ear.listen() > PAUSE_S:
                one.back_s = time.monotonic() - cut_at
            time.sleep(LOOK_EVERY_S)
        one.way = " > ".join(_trace(fleet))
        _hang_up(caller, callee, call)
    return one


def _call(fleet: RunningFleet, caller: Callee, callee: Callee) -> Call:
    """A call that is up by the first way: a peer that was away may be called so a moment after it is back."""
    wanted = (f"box:{CALLER}", f"pbx:{CALLER}", f"pbx:{CALLEE}", f"box:{CALLEE}")
    started = time.monotonic()
    while time.monotonic() - started < DEADLINE_S:
        call = caller.phone.dial(DIALLED)
        caller.phone.wait_for("established", DEADLINE_S, call)
        if not hears(caller, call, callee.tone_hz):
            raise DevstackError.because("the caller does not hear the callee", "see the logs of the nodes")
        if (way := _trace(fleet)) == wanted:
            return call
        _hang_up(caller, callee, call)
    raise DevstackError.because(f"calls go {' > '.join(way)}", "see the logs of the nodes")


def _hang_up(caller: Callee, callee: Callee, call: Call) -> None:
    caller.phone.hang_up(call)
    for incoming in callee.phone.calls:
        if not incoming.outgoing and incoming.is_live:
            callee.phone.wait_for("closed", DEADLINE_S, incoming)


def _trace(fleet: RunningFleet) -> tuple[str, ...]:
    endpoint = fleet.phones[CALLER, EXTENSION].endpoint
    return trace_call(CALLER, endpoint, fleet.map, lambda node: fleet.nodes[node].ask(*COMMANDS)).hops


def _survives(fleet: RunningFleet, failure: Failure) -> bool:
    """Whether a call is the same after a short outage."""
    caller, callee = fleet.phones[CALLER, EXTENSION], fleet.phones[CALLEE, DIALLED]
    call = _call(fleet, caller, callee)
    rings = callee.phone.rings
    time.sleep(random.uniform(0, CHECK_PERIOD_S))
    with hold_failure(fleet, failure, settle=False):
        time.sleep(SHORT_OUTAGE_S)
    time.sleep(LATE_S)
    survived = call.is_live and callee.phone.rings == rings and hears(caller, call, callee.tone_hz)
    _hang_up(caller, callee, call)
    return survived


def _read_memory(fleet: RunningFleet, role: str) -> tuple[float, float]:
    process = fleet.nodes[f"pbx:{CALLER}"].find_watcher(role)
    if process is None:
        raise DevstackError.because(f"the watcher of pbx:{CALLER} has no {role}", "see its log")
    return read_memory_mb(process)
