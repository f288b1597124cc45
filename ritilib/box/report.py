"""What a box says of itself, for `riti status`: one value in Consul, and the note of its check."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ritilib.box.image import Progress
from ritilib.box.swap import Held
from ritilib.box.word import Word

# A cabinet in summer: a Pi slows itself down from 80 °C on.
TOO_HOT_C = 80
LITTLE_DISK_BYTES = 50_000_000
_STATUS = "run/riti-status/status.json"  # what the image's own status service leaves (box-os/onbox/status.py)
_COMPLETE = 0x2  # linux/if_arp.h, ATF_COM: it has answered
_STEP_C, _STEP_BYTES, _STEP_PERCENT = 5, 10_000_000, 20


@dataclass(frozen=True)
class Machine:
    """What the machine tells; None where it does not. adapter: whether the office's answers (None: has none); rescued:
    how often somebody beside the box started it in its image's rescue way."""

    uptime_s: int | None = None
    temperature_c: int | None = None
    disk_free_bytes: int | None = None
    adapter: bool | None = None
    rescued: int = 0


@dataclass(frozen=True)
class Report:
    """why is the reason why the box is not as the controller wants it, "" where it is; refused is what it does not
    take, in_force and secrets_version what it has; overlay_edition what its overlay trusts, and overlay_authority who
    signed its certificate; update: how far it is with its image (None: the machine has none that could be another)."""

    version: str
    link: str = "unknown"
    channels: int = 0
    in_force: str = ""
    secrets_version: int = 0
    commit: str = ""
    confirmed: bool = False
    refused: Mapping[str, Any] | None = None
    why: str = ""
    machine: Machine = field(default_factory=Machine)
    state: str = "in"
    image: str = ""
    serial: str = ""
    overlay_edition: int = 0
    overlay_authority: int = 0
    update: Progress | None = None

    def encode(self) -> bytes:
        """As it lies in Consul."""
        said = asdict(self)
        return json.dumps(said.pop("machine") | said, sort_keys=True, ensure_ascii=False).encode()

    @property
    def gist(self) -> Report:
        """Without what changes all the time: two reports with the same gist need not both be written."""
        machine = self.machine
        return replace(
            self,
            channels=min(self.channels, 1),
            update=self.update and replace(self.update, percent=_round(self.update.percent, _STEP_PERCENT)),
            machine=Machine(
                None,
                _round(machine.temperature_c, _STEP_C),
                _round(machine.disk_free_bytes, _STEP_BYTES),
                machine.adapter,
                machine.rescued,
            ),
        )

    def is_news_after(self, told: Report) -> bool:
        """Whether somebody waits for it: a configuration came into force, or was refused, or something failed."""
        if _leave_percent(self.update) != _leave_percent(told.update):
            return True
        return any(
            getattr(self, name) != getattr(told, name)
            for name in (
                "state",
                "in_force",
                "secrets_version",
                "confirmed",
                "refused",
                "why",
                "version",
                "overlay_edition",
                "overlay_authority",
            )
        )

    @property
    def status(self) -> str:
        """Of its check in Consul."""
        machine = self.machine
        is_bad = (
            bool(self.why)
            or self.refused is not None
            or (self.update is not None and self.update.state == "failed")
            or machine.adapter is False
            or (machine.temperature_c or 0) >= TOO_HOT_C
            or (machine.disk_free_bytes is not None and machine.disk_free_bytes < LITTLE_DISK_BYTES)
        )
        return "warning" if is_bad or not self.confirmed else "passing"

    @property
    def note(self) -> str:
        """In one line."""
        parts = [f"riti {self.version}", f"link {self.link}", f"configuration {self.in_force[:12] or 'none'}"]
        if self.refused:
            parts.append(f"refused {self.refused['identity'][:12]}")
        if self.update and self.update.state:
            parts.append(f"image {self.update.wished} {self.update.state}")
        if self.machine.adapter is False:
            parts.append("no adapter")
        if self.machine.temperature_c is not None:
            parts.append(f"{self.machine.temperature_c} °C")
        return ", ".join(parts)


def compose_report(
    version: str,
    held: Held,
    word: Word,
    why: str,
    machine: Machine,
    state: str = "in",
    image: str = "",
    serial: str = "",
    authorities: tuple[int, int] = (0, 0),
    update: Progress | None = None,
) -> Report:
    """why: what keeps the box from what the controller wants, in words; state how far it is in (box.showing);
    authorities are the overlay's edition, and who signed its certificate."""
    current, refused = held.current, held.refused
    return Report(
        version,
        word.link if word.is_up else "unknown",
        word.channels,
        current.sha256 if current else "",
        current.secrets_version if current else 0,
        current.commit if current else "",
        held.is_confirmed,
        # what is in force now was not refused for good
        asdict(refused) if refused and not (current and refused.identity == current.identity) else None,
        why,
        machine,
        state,
        image,
        serial,
        *authorities,
        update,
    )


def read_machine(data: Path, adapters: Mapping[str, str], root: Path = Path("/")) -> Machine:
    """What /proc and /sys say; data is the partition whose room counts, adapters the adapter's files by name.

    The adapter is the one whose address of Ethernet its file bears in its name.
    """
    uptime_s = temperature_c = disk = None
    with suppress(OSError, ValueError, IndexError):
        uptime_s = int(float((root / "proc/uptime").read_text().split()[0]))
    with suppress(OSError, ValueError):
        temperature_c = round(int((root / "sys/class/thermal/thermal_zone0/temp").read_text()) / 1000)
    with suppress(OSError):
        stats = os.statvfs(data)
        disk = stats.f_bavail * stats.f_frsize
    addresses = {name.removeprefix("cfg").removesuffix(".xml") for name in adapters}
    adapter = None
    if addresses:
        with suppress(OSError):
            adapter = addresses <= find_neighbours((root / "proc/net/arp").read_text())
    rescued = 0
    with suppress(OSError, ValueError, TypeError, KeyError):
        rescued = int(json.loads((root / _STATUS).read_text())["rescued"])
    return Machine(uptime_s, temperature_c, disk, adapter, rescued)


def find_neighbours(table: str) -> set[str]:
    """The addresses of Ethernet, 12 hexadecimal digits, that the kernel's table (/proc/net/arp) knows to answer."""
    found = set()
    for line in table.splitlines()[1:]:
        parts = line.split()
        with suppress(IndexError, ValueError):
            if int(parts[2], 16) & _COMPLETE:
                found.add(parts[3].replace(":", "").lower())
    return found


def _leave_percent(update: Progress | None) -> Progress | None:
    return update and replace(update, percent=None)


def _round(value: int | None, step: int) -> int | None:
    return None if value is None else value // step * step
