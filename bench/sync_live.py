"""From a merge to the dial plan in a running PBX, by `riti sync` as it runs for years; and back after a hand's edit.

The PBX and the lighthouse really run. A merge here is the moving of the forge's main to a commit that was rendered and
proposed before; then the forge's hook is sent. What a hand edits is the PBX's value in Consul. Both are seen by asking
the Asterisk console through Docker. The floor writes the value bare, as bench `reload` does, and looks the same way: it
is what Consul, Nomad's template and Asterisk take by themselves.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.lab.controller import Controller, hold_controller
from bench.lab.fleets import LONE, LONE_NUMBERS, move_lone_route
from bench.lab.seeded import seed_fleet
from bench.lab.servers import BRANCH, hold_lab, lead_servers, merge_fleet, refuse_work
from bench.reload import Pbx, connect_pbx
from ritilib.clients.consul import Entry
from ritilib.clients.settings import read_settings
from ritilib.devstack.demo.deploy import merge_change
from ritilib.devstack.demo.lab import Lab
from ritilib.errors import DevstackError, RitiError
from ritilib.gitops.command import run_git
from ritilib.gitops.desired import Desired
from ritilib.sync.once import sync_once

SIZES = (1, 1_000, 10_000)
ROUNDS = 7
KEY = f"{LONE}/b0"
ROUTE = "99"
# longer than a cycle that looks at all values of 10,000 boxes, which counts only at its end
QUIET_S, LOOK_EVERY_S = 8.0, 0.2


@dataclass(frozen=True)
class Merged:
    """The fleet's forge, whose main goes back and forth between two trees that were rendered; a bare git repository."""

    lab: Lab

    def swap(self) -> None:
        """A new commit on main with the tree of the one before it."""
        forge = self.lab.forge
        author = {
            f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        words = ("commit-tree", f"{BRANCH}^^{{tree}}", "-p", BRANCH, "-m", "the route leads back")
        commit = run_git(forge, *words, environment=author).strip()
        run_git(forge, "update-ref", f"refs/heads/{BRANCH}", commit)


def run(report: Callable[[str], None], sizes: Sequence[int] = SIZES) -> Iterator[dict[str, Any]]:
    """One object for each size of fleet; seconds are medians."""
    return (_run_size(boxes, report) for boxes in sizes)


def _run_size(boxes: int, report: Callable[[str], None]) -> dict[str, Any]:
    with hold_lab(report) as lab:
        desired = merge_fleet(lab, boxes, lone=True)
        _start_lone(lab, desired, report)
        move_lone_route(lab.work / "fleet")
        merge_change(lab, "the lone office's route leads elsewhere")
        pbx = connect_pbx(lab, desired, KEY)
        floors = [_time_floor(pbx) for _ in range(ROUNDS)]
        with hold_controller(lab) as controller:
            # its first cycle reads all there is, which is none of what is timed
            controller.wait_for("cycle", whole=True)
            controller.wait_until(lambda: _leads_to(pbx, LONE_NUMBERS[1]), "the first merge in the PBX")
            _settle(controller)
            report(f"merging {ROUNDS} times, and editing as often")
            live = [_time_merge(Merged(lab), pbx, controller) for _ in range(ROUNDS)]
            healed = [_time_edit(pbx, controller) for _ in range(ROUNDS)]
            peak_mb = controller.read_peak_mb()
        seconds, floor_s = statistics.median(live), statistics.median(floors)
        return {
            "bench": "sync-live",
            "boxes": boxes,
            "seconds": round(seconds, 3),
            "worst_s": round(max(live), 3),
            "floor_seconds": round(floor_s, 3),
            "ratio": round(seconds / floor_s, 2),
            "healed_s": round(statistics.median(healed), 3),
            "healed_worst_s": round(max(healed), 3),
            "rss_mb": round(peak_mb, 1),
        }


def _start_lone(lab: Lab, desired: Desired, report: Callable[[str], None]) -> None:
    """The lighthouse and the lone PBX run; all others are only written, and the node takes no more work."""
    first = tuple(unit for unit in desired.units if unit.kind == "lighthouse" or unit.key == KEY)
    report("starting the lighthouse and one PBX")
    with lead_servers(lab, desired.fleet) as servers:
        done = sync_once(replace(desired, units=first), servers, (), report)
    if not done.is_clean:
        raise RitiError((*done.problems, *done.held))
    refuse_work(lab.running)
    others = tuple(unit for unit in desired.units if unit not in first)
    if others:
        seed_fleet(replace(desired, units=others), read_settings(lab.management), report)


def _leads_to(pbx: Pbx, number: str) -> bool:
    return f"to-box,{number},1" in pbx.ask(f"dialplan show {ROUTE}@from-box")


def _find_other(pbx: Pbx) -> str:
    """The number to which the route does not lead now."""
    return LONE_NUMBERS[_leads_to(pbx, LONE_NUMBERS[0])]


def _time_floor(pbx: Pbx) -> float:
    """The value written bare, until the PBX has it."""
    after = _find_other(pbx)
    start = time.perf_counter()
    _edit(pbx, _swap(after), after)
    while not _leads_to(pbx, after):
        if time.perf_counter() - start > 60:
            raise DevstackError.because("a value written bare did not reach the PBX", "see Nomad's log")
    return time.perf_counter() - start


def _swap(number: str) -> str:
    return LONE_NUMBERS[LONE_NUMBERS[0] == number]


def _edit(pbx: Pbx, before: str, after: str) -> Entry:
    """Have the route lead elsewhere, by hand; the value as it was."""
    held = pbx.consul.read(pbx.kv_key)
    if held is None:
        raise DevstackError.because(f"Consul has no {pbx.kv_key}", "see what the sync said")
    value = held.value.replace(f"to-box,{before},1".encode(), f"to-box,{after},1".encode())
    pbx.consul.write(pbx.kv_key, value, held.modify_index)
    return held


def _time_merge(merged: Merged, pbx: Pbx, controller: Controller) -> float:
    """From the hook to the PBX."""
    number = _find_other(pbx)
    merged.swap()
    start = time.perf_counter()
    controller.tell_push().raise_for_status()
    controller.wait_until(lambda: _leads_to(pbx, number), "the merge in the PBX")
    seconds = time.perf_counter() - start
    _settle(controller)
    return seconds


def _time_edit(pbx: Pbx, controller: Controller) -> float:
    """From the edit to the value as it was, and the PBX's dial plan with it."""
    other = _find_other(pbx)
    start = time.perf_counter()
    held = _edit(pbx, _swap(other), other)

    def is_healed() -> bool:
        now = pbx.consul.read(pbx.kv_key)
        return now is not None and now.value == held.value and _leads_to(pbx, _swap(other))

    controller.wait_until(is_healed, "the value healed")
    seconds = time.perf_counter() - start
    _settle(controller)
    return seconds


def _settle(controller: Controller) -> None:
    """Until its own writes wake it no more: what is timed next does not meet a cycle that is under way."""
    seen, since_s = -1.0, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        now = controller.count_cycles()
        if now != seen:
            seen, since_s = now, time.monotonic()
        time.sleep(LOOK_EVERY_S)
