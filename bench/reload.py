"""From writing a PBX's value in Consul to its running Asterisk knowing the new number.

On the way: Consul's blocking query wakes Nomad's template, which waits for quiet (`wait` in jobs/pbx) and for a
random part of its `splay` (5 s where the job says none), and runs `dialplan reload` in the container. It is seen by
asking the Asterisk console through Docker again and again, so the floor is what one such look costs.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.lab.servers import hold_lab, lead_servers, merge_fleet
from ritilib.clients.consul import Consul
from ritilib.clients.docker import Docker
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.demo.pbx import find_running
from ritilib.errors import DevstackError, RitiError
from ritilib.gitops.desired import Desired
from ritilib.reconcile.state import encode_live
from ritilib.render.names import UnitNames
from ritilib.sync.once import sync_once

ROUNDS = 11
DEADLINE_S = 60.0
# as rendered for one office, and with as many numbers more as a company of five hundred offices has
MORE_NUMBERS = (0, 1_000)
FIRST_NUMBER = 700_000


@dataclass(frozen=True)
class Pbx:
    """A running PBX: its value's key in Consul, and its Asterisk's console."""

    consul: Consul
    docker: Docker
    kv_key: str
    container: str

    def ask(self, command: str) -> str:
        """What the console answers; DevstackError where it does not."""
        argv = ["/usr/sbin/asterisk", "-C", "/local/asterisk/asterisk.conf", "-rx", command]
        code, said = self.docker.execute(self.container, argv)
        if code != 0:
            raise DevstackError.because(f"`{command}` ended with {code}: {said}", "see the PBX's log")
        return said

    def knows(self, number: int) -> bool:
        return f"'{number}' =>" in self.ask(f"dialplan show {number}@from-box")

    def write_numbers(self, plain: str, numbers: list[int]) -> None:
        """Make the value's dial plan the plain one with these numbers more."""
        held = self.consul.read(self.kv_key)
        if held is None:
            raise DevstackError.because(f"Consul has no {self.kv_key}", "see what the sync said")
        value = json.loads(held.value)
        value["files"]["extensions.conf"] = add_numbers(plain, numbers)
        self.consul.write(self.kv_key, encode_live(value), held.modify_index)


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each size of the dial plan; seconds are medians."""
    with hold_lab(report) as lab:
        desired = merge_fleet(lab, 1)
        report("starting the lighthouse and one PBX")
        with lead_servers(lab, desired.fleet) as servers:
            done = sync_once(desired, servers, (), report)
        if not done.is_clean:
            raise RitiError((*done.problems, *done.held))
        key = next(unit.key for unit in desired.units if unit.kind == "pbx")
        pbx = connect_pbx(lab, desired, key)
        plain = next(unit.files["pbx/live/extensions.conf"] for unit in desired.units if unit.key == key)
        return [_measure(pbx, plain, more, report) for more in MORE_NUMBERS]


def add_numbers(plain: str, numbers: list[int]) -> str:
    """A rendered dial plan with numbers more at the head of [from-box], as far as they matter to a look."""
    head, mark, rest = plain.partition("[from-box]\n")
    return head + mark + "".join(f"exten => {number},1,Goto(to-box,1000,1)\n" for number in numbers) + rest


def connect_pbx(lab: Lab, desired: Desired, key: str) -> Pbx:
    """The running PBX of a unit; DevstackError where it has none."""
    kv_key = UnitNames(desired.fleet, *key.split("/")).kv_key
    return Pbx(lab.consul, lab.docker, kv_key, f"pbx-{find_running(lab, key).id}")


def _measure(pbx: Pbx, plain: str, more: int, report: Callable[[str], None]) -> dict[str, Any]:
    report(f"adding a number {ROUNDS} times to a dial plan with {more} more")
    filling = list(range(FIRST_NUMBER, FIRST_NUMBER + more))
    arrivals: list[float] = []
    for round_ in range(ROUNDS + 1):
        number = FIRST_NUMBER + 100_000 + more + round_
        start = time.perf_counter()
        pbx.write_numbers(plain, [*filling, number])
        _wait_known(pbx, number, start)
        arrivals.append(time.perf_counter() - start)
    # the first round also brings the filling
    seconds = statistics.median(arrivals[1:])
    looks = [_time(partial(pbx.knows, number)) for _ in range(ROUNDS)]
    reloads = [_time(partial(pbx.ask, "dialplan reload")) for _ in range(ROUNDS)]
    floor_s = statistics.median(looks)
    return {
        "bench": "reload",
        "more_numbers": more,
        "seconds": round(seconds, 3),
        "worst_s": round(max(arrivals[1:]), 3),
        "floor_seconds": round(floor_s, 3),
        "ratio": round(seconds / floor_s, 1),
        "reload_alone_s": round(statistics.median(reloads), 3),
    }


def _wait_known(pbx: Pbx, number: int, start: float) -> None:
    while not pbx.knows(number):
        if time.perf_counter() - start > DEADLINE_S:
            what = f"number {number} did not reach the running PBX in {DEADLINE_S:.0f} s"
            raise DevstackError.because(what, "see the log of Nomad and the PBX's events")


def _time(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
