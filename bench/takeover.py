"""A call in progress whose link dies: from the cut until the caller hears the callee again, by the next way.

The cut comes at a random moment of Asterisk's own checks, in turns at each link of the first way. Its floor is the time
until Asterisk itself calls the peer unreachable; on top come the second of silence that the watcher waits for, the
dial plan's pause, and the new call. Outages of 1.5 s are played too: none of them may cut a call.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.lab.calls import LINKS, TONES_HZ, Calls, hold_calls, hold_phones
from bench.measure import hold_stack, read_memory_mb
from ritilib.clients.docker import Docker
from ritilib.devstack.telephony.audio import longest_gap_s, read_wav, share_at
from ritilib.devstack.telephony.phone import Phone, Recording
from ritilib.errors import DevstackError

ROUNDS = 30
SHORT_OUTAGES = 12
SHORT_OUTAGE_S = 1.5
CHECK_PERIOD_S = 2.0  # qualifyfreqok of the lab's peers
LOOK_EVERY_S = 0.005
DEADLINE_S = 30.0
# an outage shows as at least so long a pause; the jitter buffer covers up for less
PAUSE_S = 0.5
JUDGED_S = 0.5


def run(report: Callable[[str], None], rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """One object; seconds are from the cut on."""
    with (
        hold_stack(report) as stack,
        tempfile.TemporaryDirectory(prefix="riti-bench.") as folder,
        hold_calls(Docker(stack.docker_host), "riti-bench-takeover", Path(folder), report) as lab,
    ):
        return [measure(lab, rounds, report)]


def measure(lab: Calls, rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    """The figures of so many cuts in a lab that is up."""
    cuts: list[tuple[float, float]] = []
    for number in range(rounds):
        report(f"cut {number + 1} of {rounds}")
        cuts.append(_cut_once(lab, LINKS[number % len(LINKS)]))
    lost = 0
    for number in range(SHORT_OUTAGES):
        report(f"outage of {SHORT_OUTAGE_S} s, {number + 1} of {SHORT_OUTAGES}")
        lost += not _survives(lab, LINKS[number % len(LINKS)])
    noticed_s, voice_back_s = zip(*cuts, strict=True)
    floor_s = statistics.median(noticed_s)
    memory = [_read_memory(lab, role) for role in ("watch", "keep")]
    return {
        "bench": "takeover",
        "rounds": rounds,
        "voice_back_s": round(statistics.median(voice_back_s), 2),
        "worst_s": round(max(voice_back_s), 2),
        "floor_s": round(floor_s, 2),
        "ratio": round(statistics.median(voice_back_s) / floor_s, 2),
        "short_outages": SHORT_OUTAGES,
        "short_outages_cut": lost,
        "watcher_rss_mb": round(sum(rss for rss, _ in memory), 1),
        "watcher_pss_mb": round(sum(pss for _, pss in memory), 1),
    }


def _cut_once(lab: Calls, link: tuple[str, str]) -> tuple[float, float]:
    """(seconds until Asterisk notices, seconds until the caller hears the callee again)."""
    with hold_phones(lab) as (caller, callee):
        recording = _call(caller, callee)
        time.sleep(random.uniform(0, CHECK_PERIOD_S))
        peer = lab.find_peer(link)
        lab.cut(link)
        cut_at = time.monotonic()
        try:
            noticed_s = back_s = 0.0
            length_s, moved_at = recording.length_s(), cut_at
            while not back_s:
                now = time.monotonic()
                if now - cut_at > DEADLINE_S:
                    what = f"after {DEADLINE_S:.0f} s the voice is not back"
                    raise DevstackError.because(what, "see the logs of the nodes")
                if not noticed_s and lab.read_state(link[0])["peers"][peer] == "unreachable":
                    noticed_s = now - cut_at
                if (grown_s := recording.length_s()) > length_s:
                    if now - moved_at > PAUSE_S:
                        back_s = now - cut_at
                        start_s = length_s
                    length_s, moved_at = grown_s, now
                time.sleep(LOOK_EVERY_S)
            # what came first may be a ringing tone
            back_s += _find_tone(caller, start_s)
        finally:
            lab.heal(link)
        lab.wait_reachable()
    return noticed_s, back_s


def _call(caller: Phone, callee: Phone) -> Recording:
    caller.dial("102")
    caller.wait_for("established", DEADLINE_S)
    callee.wait_for("established", DEADLINE_S)
    _await_length(caller, caller.recording.length_s() + JUDGED_S)
    return caller.recording


def _find_tone(caller: Phone, start_s: float) -> float:
    """Seconds of the recording from start_s until the callee's tone is there."""
    offset_s = 0.0
    while offset_s < DEADLINE_S:
        _await_length(caller, start_s + offset_s + JUDGED_S)
        samples, rate_hz = read_wav(caller.recording.path, start_s + offset_s)
        heard = samples[: round(JUDGED_S * rate_hz)]
        if share_at(heard, rate_hz, TONES_HZ["102"]) >= 0.5:
            # the tone may begin within: what is missing of it is before it
            return offset_s + longest_gap_s(heard, rate_hz, TONES_HZ["102"])
        offset_s += JUDGED_S
    raise DevstackError.because(
        "the caller hears something else than the callee", "see the logs of the nodes"
    )


def _survives(lab: Calls, link: tuple[str, str]) -> bool:
    """Whether a call is the same after a short outage."""
    with hold_phones(lab) as (caller, callee):
        _call(caller, callee)
        time.sleep(random.uniform(0, CHECK_PERIOD_S))
        lab.cut(link)
        time.sleep(SHORT_OUTAGE_S)
        lab.heal(link)
        lab.wait_reachable()
        _await_length(caller, caller.recording.length_s() + JUDGED_S)
        return callee.rings == 1 and all(call.is_live for call in (*caller.calls, *callee.calls))


def _await_length(phone: Phone, length_s: float) -> None:
    started = time.monotonic()
    while phone.recording.length_s() < length_s:
        if time.monotonic() - started > DEADLINE_S:
            raise DevstackError.because(f"{phone.name} hears nothing", "see the logs of the nodes")
        time.sleep(LOOK_EVERY_S)


def _read_memory(lab: Calls, role: str) -> tuple[float, float]:
    process = lab.find_process("pbx-a", role)
    if process is None:
        raise DevstackError.because(f"the watcher of pbx-a has no {role}", "see its log")
    return read_memory_mb(process)
