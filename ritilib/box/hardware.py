"""What a box is made of, as its kernel and its image say it."""

from __future__ import annotations

from pathlib import Path

SERIAL = Path("/proc/device-tree/serial-number")  # a Pi's, the same as in /proc/cpuinfo
RELEASE = Path("/etc/os-release")


def read_serial(file: Path = SERIAL) -> str:
    """The serial number; "" on a machine that has none there."""
    try:
        return file.read_text(encoding="ascii", errors="replace").strip("\0 \n").lower()
    except OSError:
        return ""


def read_image(file: Path = RELEASE) -> str:
    """The image's name and version; "" where it says none."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    return " ".join(filter(None, (said.get("IMAGE_ID"), said.get("IMAGE_VERSION"))))
