"""What an image is made of, as a value: board, flavour, version, and the packages that others are drawn in by."""

from __future__ import annotations

import re
from dataclasses import dataclass

from boxos.board import Board
from boxos.flavour import Flavour
from ritilib.errors import RitiError

SUITE = "forky"  # the only suite of Debian with Asterisk 22
ARCHITECTURE = "arm64"
PYTHON = "3.14"  # that suite's; the wheels are made for it
VERSION = re.compile(r"[0-9]+(\.[0-9]+){2}([-+~][A-Za-z0-9.]+)?")

# Without what they recommend. No SSH server, no package manager, no mail.
PACKAGES = (
    "asterisk",
    "asterisk-core-sounds-en-gsm",
    "asterisk-core-sounds-es-gsm",
    "asterisk-core-sounds-fr-gsm",
    "asterisk-core-sounds-it-gsm",
    "asterisk-core-sounds-ru-gsm",
    "asterisk-modules",
    "busybox-static",  # the initrd's programs
    "chrony",  # a Pi has no clock of its own
    "dbus",  # RAUC is spoken to by it
    "dmsetup",  # the initrd sets the verified root up by it
    "dosfstools",
    "e2fsprogs",
    "fdisk",  # the data partition is grown by it
    "iproute2",
    "kmod",
    "mount",  # systemd mounts by it, and nothing else draws it in
    "nftables",
    "python3",
    "rauc",
    "rauc-service",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "tzdata",
    "udev",
)


@dataclass(frozen=True)
class Recipe:
    """One image. version is what the fleet names and what an update compares."""

    board: Board
    flavour: Flavour
    version: str

    def __post_init__(self) -> None:
        if not VERSION.fullmatch(self.version):
            raise RitiError.because(f"{self.version} is no version", "write it as 1.2.3")

    @property
    def name(self) -> str:
        """What the files of this image are called by."""
        return f"riti-box-{self.board.name}-{self.version}"
