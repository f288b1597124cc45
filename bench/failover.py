"""From a cut to the first call that is answered, by whatever rung of the ladder; and the calls after it.

Real Asterisks, as they were rendered, in the laboratory of `ritilib.devstack.telephony.company`. The first call is
dialled as soon as the failure is made, when every peer still looks alive; where it does not get through, the caller
dials again at once. Answered means that both ends hear each other's tone.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.lab.fleets import make_fleet
from bench.measure import hold_stack
from ritilib.clients.docker import Docker
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import CloudCut, Failure, LinkCut, MeshCut, PbxDead, hold_failure
from ritilib.devstack.telephony.placed_call import Outcome, place_call
from ritilib.devstack.telephony.public import describe_outside
from ritilib.errors import DevstackError
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree

ROUNDS = 30
CHECK_PERIOD_S = 2.0  # of Asterisk's own checks: cuts come at any moment of it
DEADLINE_S = 90.0  # IAX2 itself gives up after 32 s
LABEL = "riti-bench-failover"
BOXES = 3
CALLER, CALLEE, DIALLED = "c0/b0", "c0/b1", "1010"
EXTENSION = "1000"
LINES = {CALLER: "+59820000000", CALLEE: "+59820000010"}  # the public numbers of 1000 and 1010
FAILURES: Mapping[str, Failure] = {
    "own link cut": LinkCut(CALLER),
    "mesh cut": MeshCut(CALLER, CALLEE),
    "own PBX killed": PbxDead((CALLER,)),
    "other PBX killed": PbxDead((CALLEE,)),
    "other office's link cut": LinkCut(CALLEE),
    "cloud gone": CloudCut(),
}
SETTINGS = "link: {round_trip_ms: 20}\n"  # without it, the first call meets waits of 1 s and not of 0.4


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each kind of failure; floor_seconds is the same call with nothing cut."""
    files = make_fleet(BOXES)
    files["fleet/fleet.yaml"] += SETTINGS.encode()
    for box, number in LINES.items():
        files[f"fleet/boxes/{box}.yaml"] += f'line: {{number: "{number}"}}\n'.encode()
    loaded = load_fleet(files)
    tree = render_tree(loaded, files, "bench")
    with hold_stack(report) as stack, tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        docker, outside = Docker(stack.docker_host), describe_outside(loaded.fleet)
        with hold_fleet(docker, tree, outside, Path(folder), LABEL, report) as fleet:
            return [_measure(fleet, name, failure, report) for name, failure in FAILURES.items()]


def _measure(
    fleet: RunningFleet, name: str, failure: Failure, report: Callable[[str], None]
) -> dict[str, Any]:
    report(f"{name}: {ROUNDS} times")
    floors: list[float] = []
    firsts: list[float] = []
    later: list[float] = []
    tried = 0
    rungs: set[str] = set()
    for _ in range(ROUNDS):
        floors.append(_call(fleet).setup_s)
        time.sleep(random.uniform(0, CHECK_PERIOD_S))
        with hold_failure(fleet, failure, settle=False):
            seconds, calls, outcome = _dial_until_answered(fleet)
            firsts.append(seconds)
            tried += calls
            rungs.add(" > ".join(outcome.path))
            later.append(_call(fleet).setup_s)
    floor_s, first_s = statistics.median(floors), statistics.median(firsts)
    return {
        "bench": "failover",
        "failure": name,
        "first_call_s": round(first_s, 3),
        "worst_s": round(max(firsts), 3),
        "next_call_s": round(statistics.median(later), 3),
        "floor_seconds": round(floor_s, 3),
        "ratio": round(first_s / floor_s, 1),
        "calls_for_one": round(tried / ROUNDS, 2),
        "ways": sorted(rungs),
    }


def _dial_until_answered(fleet: RunningFleet) -> tuple[float, int, Outcome]:
    """Seconds from now until a call is answered, how many were dialled for that, and the one that got through."""
    start_s = time.monotonic()
    calls = 0
    while (dialled_s := time.monotonic()) - start_s < DEADLINE_S:
        calls += 1
        outcome = place_call(fleet, CALLER, EXTENSION, DIALLED, DEADLINE_S)
        if outcome.kind == "answered":
            return dialled_s - start_s + outcome.setup_s, calls, outcome
    raise DevstackError.because(
        f"no call got through in {DEADLINE_S:.0f} s: {outcome.kind} {outcome.status}", "riti prove says why"
    )


def _call(fleet: RunningFleet) -> Outcome:
    outcome = place_call(fleet, CALLER, EXTENSION, DIALLED)
    if outcome.kind != "answered":
        raise DevstackError.because(f"a call was {outcome.kind}: {outcome.status}", "riti prove says why")
    return outcome
