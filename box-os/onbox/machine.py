"""What the machine says of itself: device tree, partitions, the agent's and the watcher's files. Reads only, but for
the one sector."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onbox import registration, selector
from onbox.health import Health, is_steady
from onbox.selection import SECTOR, name_slot, read_selection
from onbox.slots import Record, Slots, read_record

BOOTLOADER = Path("/proc/device-tree/chosen/bootloader")
SELECTOR = "riti-selector"
BLOCKS = Path("/sys/class/block")
RECORD = Path("/data/rauc/slots.json")
GIVEN_UP = Path("/data/rauc/given-up")  # why the version that was tried last went back, where it could say so
RESTARTING = Path("/run/riti-restarting")  # a slot that is to be tried was not tried yet
AGENT, ENROLLMENT = Path("/data/riti/agent.json"), Path("/data/riti/status.json")
_READ = 1024 * 1024  # all of the selector's tables and its root folder


def find_selector() -> Path:
    """Its device, by GPT's own name, which the kernel tells; udev may be minutes behind on a slow start.

    FileNotFoundError where the kernel has not found it.
    """
    for event in sorted(BLOCKS.glob("*/uevent")):
        said = dict(line.partition("=")[::2] for line in event.read_text().splitlines())
        if said.get("PARTNAME") == SELECTOR:
            return Path("/dev") / said["DEVNAME"]
    raise FileNotFoundError(f"no partition is called {SELECTOR}")


def read_selector() -> bytes:
    """The selector's beginning: its tables and its root folder."""
    with find_selector().open("rb") as stream:
        return stream.read(_READ)


def write_sector(offset: int, sector: bytes) -> None:
    """One whole sector onto the card itself, before this returns; nothing beside it is written.

    Without the page cache, which would write a whole page of eight sectors, and not now.
    """
    assert len(sector) == SECTOR and offset % SECTOR == 0
    handle = os.open(find_selector(), os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
    try:
        with mmap.mmap(-1, SECTOR) as aligned:
            aligned[:] = sector
            with memoryview(aligned) as view:
                os.pwritev(handle, [view], offset)
    finally:
        os.close(handle)


def read_slots() -> Slots:
    """What is committed, what runs, and what is kept."""
    image = read_selector()
    entry = selector.find_selection(image)
    committed = read_selection(_read_at(entry.offset), is_try=False)
    return Slots(
        name_slot(committed), name_slot(read_number("partition")), bool(read_number("tryboot")), read_kept()
    )


def commit(sector: bytes) -> None:
    """Put autoboot.txt's sector."""
    write_sector(selector.find_selection(read_selector()).offset, sector)


def read_kept() -> Record:
    try:
        return read_record(RECORD.read_text(encoding="utf-8"))
    except OSError:
        return Record()


def read_number(name: str) -> int:
    """A number that the firmware left in the device tree: four bytes, the highest first."""
    return int.from_bytes((BOOTLOADER / name).read_bytes(), "big")


def write_kept(record: Record) -> None:
    """The record, down to the card."""
    write_durable(RECORD, record.encode())


def write_durable(path: Path, text: str) -> None:
    """path holds the whole text after this, or what it held before. Without a folder's sync a cut loses the rename."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_health() -> Health:
    """How the box is now."""
    said = read_agent()
    return Health(
        started=call("systemctl", "is-system-running").strip() in ("running", "degraded"),
        root_verified=" verity V" in call("dmsetup", "status", "root"),
        data=Path("/data").is_mount(),
        failed=tuple(
            line.split()[0]
            for line in call("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines()
        ),
        agent=is_steady(
            call(
                "systemctl",
                "show",
                "--property=ActiveState,ActiveEnterTimestampMonotonic",
                "riti-agent.service",
            ),
            time.clock_gettime(time.CLOCK_MONOTONIC),
        ),
        state=str(said.get("state", "")),
        link=str(said.get("link", "")),
        phones=registration.can_register(),
    )


def read_agent() -> Mapping[str, Any]:
    """What the agent says of the box; nothing where it has not yet (a start of the machine takes the file away)."""
    return read_json(AGENT)


def read_json(path: Path) -> Mapping[str, Any]:
    """The object in a file; an empty one where there is none that can be read."""
    with suppress(OSError, ValueError):
        said = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(said, dict):
            return said
    return {}


def show(path: Path, said: Mapping[str, Any]) -> None:
    """Write what everybody on the box may read, and nobody sees half of."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(said, sort_keys=True, indent=2) + "\n", encoding="utf-8")
    beside.chmod(0o644)
    beside.rename(path)


def call(*argv: str) -> str:
    """What a program says, whatever it ends with; "" where it is absent or does not end."""
    try:
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _read_at(offset: int) -> bytes:
    # by the same way as it is written: the page cache may still hold what was there before
    handle = os.open(find_selector(), os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, SECTOR) as aligned:
            with memoryview(aligned) as view:
                os.preadv(handle, [view], offset)
            return bytes(aligned[:])
    finally:
        os.close(handle)
