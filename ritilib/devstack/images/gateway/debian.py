"""What the gateway's image is made of: HAProxy as Debian ships it, unpacked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ritilib.devstack.images.debian import OPTIONS
from ritilib.devstack.images.libraries import find_loader
from ritilib.devstack.machine.unpack import unpack_suite

SUITE = "trixie"  # HAProxy 3.0, which is maintained until 2029
PACKAGES = ("ca-certificates", "haproxy")
PROGRAM = "usr/sbin/haproxy"


def unpack_haproxy(cache: Path, report: Callable[[str], None]) -> Path:
    """The folder with HAProxy and all libraries, unpacked now if it is not there: 4 s where the mirror is near.

    DevstackError where apt knows no mirror, or mmdebstrap fails.
    """
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, OPTIONS)).encode()).hexdigest()[:12]

    def complete(tree: Path, _work: Path) -> None:
        for name in ("bin", "lib", "lib64", "sbin"):  # base-files would have made them
            if (tree / "usr" / name).is_dir() and not (tree / name).exists():
                (tree / name).symlink_to(f"usr/{name}")

    return unpack_suite(cache / f"haproxy-{recipe}", SUITE, PACKAGES, OPTIONS, "HAProxy", report, complete)


def write_command(tree: Path) -> list[str]:
    """The arguments that run this HAProxy here, with its own libraries and none of this machine's."""
    folders = sorted({str(library.parent) for library in (tree / "usr/lib").glob("*/libc.so.6")})
    return [str(find_loader(tree)), "--library-path", ":".join(folders), str(tree / PROGRAM)]
