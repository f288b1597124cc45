"""Starts an image in QEMU, and waits for what its console says."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from boxos import firmware
from ritilib.errors import RitiError

SERIAL = "10000000c0ffee01"
_TAIL = 3000


@dataclass(frozen=True)
class Boot:
    """seconds: mark → when the console said it, from power on; partition: the slot that the firmware took."""

    partition: int
    seconds: Mapping[str, float]
    console: str


def boot(
    disk: Path,
    marks: Mapping[str, str],
    timeout_s: float,
    report: Callable[[str], None],
    is_try: bool = False,
    arguments: str = "",
) -> Boot:
    """Start a copy of disk and end it when the console has said all marks (name → text).

    arguments are added to the kernel's own, as the rescue way or a test would. RitiError with the console's last words
    where they do not come in time, or where QEMU ends first.
    """
    with tempfile.TemporaryDirectory(prefix="boxos-") as name:
        work = Path(name)
        card = work / "card.img"
        shutil.copyfile(disk, card)
        chosen = firmware.choose(card, work, is_try)
        tree = firmware.describe_board(chosen, work / "board.dtb", is_try, SERIAL)
        argv = firmware.compose(chosen, card, tree)
        if arguments:
            argv[argv.index("-append") + 1] += f" {arguments}"
        started = time.monotonic()
        qemu = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            seconds, console = _follow(qemu, marks, started, timeout_s, report)
        finally:
            qemu.kill()
            qemu.wait()
    if absent := [mark for mark in marks if mark not in seconds]:
        what = f"the image did not come as far as: {', '.join(absent)}; its console:\n{console[-_TAIL:]}"
        raise RitiError.because(
            what, "start it with more words: make image-boot MORE=systemd.log_target=console"
        )
    return Boot(chosen.partition, seconds, console)


def _follow(
    qemu: subprocess.Popen[bytes],
    marks: Mapping[str, str],
    started: float,
    timeout_s: float,
    report: Callable[[str], None],
) -> tuple[dict[str, float], str]:
    assert qemu.stdout is not None
    seconds: dict[str, float] = {}
    console = ""
    with selectors.DefaultSelector() as selector:
        selector.register(qemu.stdout, selectors.EVENT_READ)
        while len(seconds) < len(marks) and (left := started + timeout_s - time.monotonic()) > 0:
            if not selector.select(left):
                break
            said = os.read(qemu.stdout.fileno(), 65536)
            if not said:
                break
            console += said.decode(errors="replace")
            for mark, text in marks.items():
                if mark not in seconds and text in console:
                    seconds[mark] = round(time.monotonic() - started, 1)
                    report(f"  {mark}: {seconds[mark]} s")
    return seconds, console
