"""The ways back: a version that is tried and does not work, of each kind, and the version before that runs again."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxos.by_hand import open_rescue, restart, took
from boxos.cables import WATCHDOG, Cables
from boxos.emulate import Machine, read_patience
from boxos.faults import Fault, list_faults
from boxos.firmware import choose, find_spans
from boxos.lab import make_card
from boxos.layout import BOOT_A, BOOT_B, ROOT_A, ROOT_B
from boxos.programs import run
from boxos.trial import Report, find_log
from boxos.verity import read_verity
from ritilib.errors import RitiError

BACK_S = 300.0  # what is promised, from power on of the try to the restart into the version before
_END_S = 600.0
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Back:
    """Seconds of one way back: from power on of the try until the box ended it, and from there until the version before
    has a shell."""

    gone_s: float
    up_s: float


def try_rollbacks(
    image: Path, work: Path, timeout_s: float, report: Report, names: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Each fault once, or those of names; RitiError with each that did not go back, or not for its reason."""
    card = make_card(image, work, None)
    fill_other_slot(card)
    faults = choose_faults(list_faults(read_verity(choose(card, work, is_try=False).arguments)), names)
    wrongs: list[str] = []
    found: dict[str, Back] = {}
    with Machine(card, work, Cables(WATCHDOG), find_log(work)) as box:
        open_rescue(box, timeout_s)
        for fault in faults:
            back = found[fault.name] = _try_fault(box, fault, timeout_s, wrongs)
            report(f"  {fault.name}: given up after {back.gone_s} s, and back {back.up_s} s later")
    wrongs += find_late(found, BACK_S * read_patience())
    if wrongs:
        raise RitiError.because("; ".join(wrongs), f"what the consoles said is in {find_log(work)}")
    return {name: vars(back) for name, back in found.items()}


def choose_faults(faults: tuple[Fault, ...], names: tuple[str, ...]) -> tuple[Fault, ...]:
    """Those of names, all where none is named; RitiError for a name that there is not."""
    known = {fault.name: fault for fault in faults}
    if absent := [name for name in names if name not in known]:
        raise RitiError.because(f"there is no fault {', '.join(absent)}", f"name one of {', '.join(known)}")
    return tuple(known[name] for name in names) or faults


def find_late(found: dict[str, Back], bound_s: float) -> list[str]:
    """What took longer than it may."""
    return [
        f"{name}: given up after {back.gone_s} s, not {bound_s:.0f}"
        for name, back in found.items()
        if back.gone_s > bound_s
    ]


def fill_other_slot(card: Path) -> None:
    """Slot B holds what slot A does, as if the same image had been installed there."""
    spans = find_spans(run(["sfdisk", "--dump", card]))
    with card.open("r+b") as disk:
        for source, target in ((BOOT_A, BOOT_B), (ROOT_A, ROOT_B)):
            start, size = spans[source]
            for offset in range(0, size, _CHUNK):
                disk.seek(start + offset)
                content = disk.read(min(_CHUNK, size - offset))
                disk.seek(spans[target][0] + offset)
                disk.write(content)


def _try_fault(box: Machine, fault: Fault, timeout_s: float, wrongs: list[str]) -> Back:
    """From the rescue way's shell to the rescue way's shell."""
    for command in (fault.before, "/usr/lib/riti/slot set-primary B"):
        code, said = box.run(command) if command else (0, "")
        if code:
            raise RitiError.because(f"{command}: {said}", "look at the console")
    restart(box, timeout_s)
    wrongs += took(box.start(fault.arguments), BOOT_B, f"at the try of {fault.name}")
    began_s = time.monotonic()
    box.wait_end(_END_S)
    gone_s = time.monotonic() - began_s
    if not re.search(fault.said, box.console):
        wrongs.append(f"{fault.name}: it went back, and not for this; it said: {box.console[-1000:]}")
    began_s = time.monotonic()
    open_rescue(box, timeout_s)
    up_s = time.monotonic() - began_s
    wrongs += took(box.partition, BOOT_A, f"after {fault.name}")
    return Back(round(gone_s, 1), round(up_s, 1))
