"""Power cuts at random moments of a box's life: starts (the first one and the making of its keys among them),
installations, and the try and the commit of what was installed.

What the guest had not written yet is lost, as it is on a real card; what a card may lose besides, of what was written
and not flushed, is boxos/crashes.py's. Cuts while a box enrolls need a fleet: `make image-e2e CUTS=3`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxos.by_hand import open_network, open_rescue, restart, show_slots
from boxos.emulate import Machine
from boxos.firmware import choose
from boxos.lab import make_card
from boxos.layout import BOOT_A
from boxos.rollback import fill_other_slot
from boxos.serve import GUEST, serve
from boxos.trial import ANSWERS, STARTED, UP, Report, find_log, find_wrongs, read_said
from boxos.update import Built, offer_good
from onbox.selection import SLOTS, name_slot
from ritilib.errors import RitiError

# before anything was measured: how long a start, an installation, and a proof behind a start may take
_FIRST_BOUND_S, _INSTALL_S, _PROOF_S = 60.0, 60.0, 60.0
_COMMITTED = "is committed"
_ANSWER = re.compile(r"RITI agent answers: (\S+) key=(\S*)")


@dataclass
class Cut:
    """One box under cuts: what was seen of it, and what was wrong."""

    box: Machine
    moments: random.Random
    timeout_s: float
    report: Report
    seen: list[tuple[str, str]] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    done: int = 0
    start_s: float = _FIRST_BOUND_S

    def cut_after(self, least_s: float, most_s: float, what: str) -> None:
        moment_s = self.moments.uniform(least_s, most_s)
        self.box.wait(moment_s)
        self.box.cut()
        self.done += 1
        self.report(f"  cut {self.done}: {what}, {moment_s:.1f} s")

    def expect(self, taken: int, expected: int, when: str) -> None:
        if taken != expected:
            self.wrongs.append(f"{when} the firmware took partition {taken}, not {expected}")


def share_out(cuts: int) -> tuple[int, int, int]:
    """How many of the cuts are of starts, installations, and tries."""
    return cuts - 2 * (cuts // 3), cuts // 3, cuts // 3


def find_changes(seen: list[tuple[str, str]]) -> list[str]:
    """What is wrong with (machine's number, key) of starts one after the other: once kept, they are the same."""
    numbers, keys = ({one[index] for one in seen} for index in (0, 1))
    wrongs = []
    if len(numbers) > 1:
        wrongs.append(f"the machine had {len(numbers)} numbers")
    if len(keys) > 1 or "" in keys:
        wrongs.append(f"the box had {len(keys)} keys: {', '.join(sorted(keys))}")
    return wrongs


def try_cuts(
    built: Built, work: Path, cuts: int, seed: int, timeout_s: float, report: Report
) -> dict[str, Any]:
    """Cut a box off so many times, and after each few let it start whole.

    A start that does not come up, another slot, number or key is an error, with the seed that leads there again.
    """
    starts, installs, tries = share_out(cuts)
    card = make_card(built.image, work, None)
    with (
        serve({"good": offer_good(built, work)} if installs else {}) as cables,
        Machine(card, work, cables, find_log(work)) as box,
    ):
        cut = Cut(box, random.Random(seed), timeout_s, report)
        _cut_starts(cut, starts)
        for _ in range(installs):
            _cut_install(cut)
        if tries:
            # whatever the cuts left of it: what is tried must be whole
            fill_other_slot(card)
        for _ in range(tries):
            _cut_try(cut, work)
        if installs or tries:
            _start_whole(cut, box.start())
    wrongs = cut.wrongs + find_changes(cut.seen)
    if wrongs:
        raise RitiError.because("; ".join(dict.fromkeys(wrongs)), f"the same moments again: --seed {seed}")
    kinds = {"starts": starts, "installations": installs, "tries": tries}
    return {
        "cuts": kinds,
        "whole": len(cut.seen),
        "seed": seed,
        "id": cut.seen[-1][0],
        "key": cut.seen[-1][1],
    }


def _cut_starts(cut: Cut, count: int) -> None:
    for number in range(1, count + 1):
        cut.expect(cut.box.start(), BOOT_A, "at a start")
        cut.cut_after(0.5, cut.start_s, "at a start")
        # the first few are cut one after the other, so that first boot and keys are cut into more than once
        if number % 3 == 0 or number == count:
            taken = cut.box.start()
            cut.expect(taken, BOOT_A, "after it")
            _start_whole(cut, taken)


def _cut_install(cut: Cut) -> None:
    """An installation is cut; the slot that ran runs again, and is asked which one the next start takes."""
    open_rescue(cut.box, cut.timeout_s)
    cut.expect(cut.box.partition, BOOT_A, "before an installation")
    open_network(cut.box)
    cut.box.type(f"rauc install http://{GUEST}/good")
    cut.cut_after(0.5, _INSTALL_S, "while it installs")
    open_rescue(cut.box, cut.timeout_s)
    cut.expect(cut.box.partition, BOOT_A, "after a cut of an installation")
    current, primary = show_slots(cut.box)
    # B: the installation was through, and the next restart would try it
    if current != "A" or primary not in ("A", "B"):
        cut.wrongs.append(f"after a cut of an installation the slots are {current}/{primary}")
    cut.report(f"  started: {current}, next {primary}")
    cut.box.cut()


def _cut_try(cut: Cut, work: Path) -> None:
    """The other slot is tried and cut before, while or after it is committed; which one it is says the sector alone."""
    box = cut.box
    open_rescue(box, cut.timeout_s)
    before = box.partition
    other = next(number for number in SLOTS.values() if number != before)
    code, said = box.run(f"/usr/lib/riti/slot set-primary {name_slot(other)}")
    if code:
        raise RitiError.because(f"it cannot be tried: {said}", "look at onbox/slot.py")
    restart(box, cut.timeout_s)
    cut.expect(box.start(), other, "at a try")
    if cut.moments.random() < 0.3:
        cut.cut_after(0.5, cut.start_s, "at a try's start")
    else:
        box.follow(UP, cut.timeout_s)
        cut.cut_after(0.0, _PROOF_S, "while it proves itself")
    was_committed = _COMMITTED in box.console
    chosen = choose(box.card, work, is_try=False).partition
    if was_committed:
        cut.expect(chosen, other, "after it said that it is committed")
    taken = box.start()
    cut.expect(taken, chosen, "after a cut try")
    cut.report(f"  {'committed' if taken == other else 'back'}")
    _start_whole(cut, taken)


def _start_whole(cut: Cut, taken: int) -> None:
    box = cut.box
    seconds = box.follow({**STARTED, **ANSWERS}, cut.timeout_s)
    # from now on moments are of the length of a start, whatever this machine makes of it
    cut.start_s = max(seconds.values()) * 1.1
    said = read_said(box.console)
    cut.wrongs += find_wrongs(said)
    slot = name_slot(taken)
    # the next one may still be the one that an installation left to be tried
    if not said.slot.startswith(f"{slot}/"):
        cut.wrongs.append(f"slot {said.slot} runs, and the firmware took {slot}")
    answer = _ANSWER.search(box.console)
    cut.seen.append((said.id, answer[2] if answer else ""))
    box.cut()
    cut.report(f"  started whole: {said.slot}, {said.id}")
