"""What an image does when it starts in QEMU: how long it takes, what it keeps, and what a person would have to see."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boxos.cables import Cables, hold_beside, unplug_router
from boxos.emulate import Machine
from boxos.lab import make_card
from boxos.neighbour import find_openings, look_from
from boxos.programs import run
from ritilib.errors import RitiError

Report = Callable[[str], None]
VERIFIED = {"verified": "RITI initrd: root of partition"}
UP = {"systemd up": "RITI systemd is up"}
STARTED = {"started": ": started; slot="}
ANSWERS = {"agent answers": "RITI agent answers: "}
# the lamp's code where the router gave an address, and no gateway is behind it
ROUTED = {"has an address": "RITI status no-gateway: "}
# systemd with the same root, network and clock, and nothing of ours
BARE = " ".join(
    f"systemd.mask=riti-{name}.service" for name in ("agent", "asterisk", "overlay", "status", "machine-id")
)
_SAID = re.compile(r"RITI (\S+) (\S+): started; (.*)$", re.MULTILINE)
_LEAST_DATA_MB = 200  # of the card that boxos/lab.py makes: the image's own partition has 16


def find_log(work: Path) -> Path:
    """Where what the consoles say is kept, also of a trial that failed: beside its folder, which goes."""
    return work.with_name("console.log")


@dataclass(frozen=True)
class Said:
    """The line with which a start ends (files/usr/lib/riti/say-start)."""

    image: str
    version: str
    slot: str
    verified: str
    written: str
    data: str
    id: str
    failed: str


def read_said(console: str) -> Said:
    """What the console said; RitiError where it did not."""
    found = _SAID.findall(console)
    if not found:
        raise RitiError.because("the start did not say how it ended", "look at its console")
    image, version, rest = found[-1]
    words, _, failed = rest.partition(" failed=")
    values = dict(word.split("=", 1) for word in words.split())
    try:
        return Said(image, version, failed=failed.strip(), **values)
    except TypeError:
        raise RitiError.because(f"the start said what is not understood: {rest}", "see say-start") from None


def find_wrongs(said: Said) -> list[str]:
    """What a start must not have, in words."""
    wrongs = []
    if said.verified != "yes":
        wrongs.append("the root is not verified")
    if said.written != "no":
        wrongs.append("the root can be written to")
    if not said.data.isdigit():
        wrongs.append("the data partition is not there")
    elif int(said.data) < _LEAST_DATA_MB:
        wrongs.append(f"the data partition has {said.data} MB and not the card's")
    if not re.fullmatch(r"[0-9a-f]{32}", said.id):
        wrongs.append("the machine has no number")
    if said.failed != "none":
        wrongs.append(f"units have failed: {said.failed}")
    return wrongs


def try_starts(
    image: Path, work: Path, claimed: Path | None, timeout_s: float, report: Report, arguments: str = ""
) -> dict[str, Any]:
    """A bare start of systemd, a first start and a second one of the same card; their seconds and what they said, and
    what neighbours of the second one find.

    RitiError with all that is wrong.
    """
    card = make_card(image, work, claimed)
    bare_card = work / "bare.img"
    run(["cp", "--sparse=always", card, bare_card])
    wrongs: list[str] = []
    with Machine(bare_card, work, log=find_log(work)) as box:
        report("a bare start:")
        box.start(f"{BARE} {arguments}".strip())
        bare = box.follow({**VERIFIED, **UP}, timeout_s, report)
    bare_card.unlink()
    starts = []
    seen: dict[str, Any] = {}
    namespace = f"riti-beside-{os.getpid()}"
    monitor = work / "monitor"
    with hold_beside(namespace, monitor) as cables:
        for name, plugged in (("a first start, without cables:", Cables()), ("a second one:", cables)):
            with Machine(card, work, plugged, find_log(work)) as box:
                report(name)
                box.start(arguments)
                seconds = box.follow({**VERIFIED, **UP, **STARTED, **ANSWERS}, timeout_s, report)
                said = read_said(box.console)
                if plugged.words:
                    box.follow(ROUTED, timeout_s, report)
                    unplug_router(monitor)
                    report("  every port is asked, from wan and lan")
                    seen = look_from(namespace)
            wrongs += find_wrongs(said)
            starts.append({"seconds": seconds, "said": asdict(said)})
    wrongs += find_openings(seen)
    if starts[0]["said"]["id"] != starts[1]["said"]["id"]:
        wrongs.append("the machine's number is another at its second start")
    if wrongs:
        raise RitiError.because(
            "; ".join(dict.fromkeys(wrongs)), f"what the consoles said is in {find_log(work)}"
        )
    answers = starts[0]["seconds"]["agent answers"]
    return {
        "bare": bare,
        "first": starts[0],
        "second": starts[1],
        "neighbour": seen,
        "ratio": round(answers / bare["systemd up"], 2),
    }
