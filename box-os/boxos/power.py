"""Power cuts at random moments of a box's starts, its first one and the making of its keys among them.

What the guest had not written yet is lost, as it is on a real card; a card that loses what it said was written is not
modelled.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

from boxos.emulate import Machine
from boxos.lab import make_card
from boxos.layout import BOOT_A
from boxos.trial import ANSWERS, STARTED, Report, find_log, find_wrongs, read_said
from ritilib.errors import RitiError

_FIRST_BOUND_S = 60.0
_ANSWER = re.compile(r"RITI agent answers: (\S+) key=(\S*)")


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
    image: Path, work: Path, cuts: int, seed: int, timeout_s: float, report: Report
) -> dict[str, Any]:
    """Cut a box off so many times, from its first start on, and after each few let it start whole.

    A start that does not come up, another slot, number or key is an error, with the seed that leads there again.
    """
    moments = random.Random(seed)
    seen: list[tuple[str, str]] = []
    wrongs: list[str] = []
    with Machine(make_card(image, work, None), work, log=find_log(work)) as box:
        bound_s = _FIRST_BOUND_S
        for number in range(1, cuts + 1):
            _check_slot(box.start(), wrongs)
            moment_s = moments.uniform(0.5, bound_s)
            box.wait(moment_s)
            box.cut()
            report(f"  cut {number}: {moment_s:.1f} s after power on")
            # the first few are cut one after the other, so that first boot and keys are cut into more than once
            if number % 3 == 0 or number == cuts:
                _check_slot(box.start(), wrongs)
                seconds = box.follow({**STARTED, **ANSWERS}, timeout_s)
                # from now on moments are of the length of a start, whatever this machine makes of it
                bound_s = max(seconds.values()) * 1.1
                said = read_said(box.console)
                wrongs += find_wrongs(said)
                answer = _ANSWER.search(box.console)
                seen.append((said.id, answer[2] if answer else ""))
                box.cut()
                report(f"  started: {said.id}")
    wrongs += find_changes(seen)
    if wrongs:
        raise RitiError.because("; ".join(dict.fromkeys(wrongs)), f"the same moments again: --seed {seed}")
    return {"cuts": cuts, "starts": len(seen), "seed": seed, "id": seen[-1][0], "key": seen[-1][1]}


def _check_slot(taken: int, wrongs: list[str]) -> None:
    if taken != BOOT_A:
        wrongs.append(f"the firmware took partition {taken}")
