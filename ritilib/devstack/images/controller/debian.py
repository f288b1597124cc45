"""What the controller's image is made of: Python, Git and SSH as Debian ships them, unpacked, and RITI's packages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ritilib.devstack.images.controller.packages import install_packages
from ritilib.devstack.images.debian import OPTIONS
from ritilib.devstack.machine.unpack import unpack_suite

SUITE = "trixie"
PYTHON = "3.13"  # that suite's
PACKAGES = (
    "ca-certificates",
    "coreutils",  # timeout and env: every call of Git is bounded
    "dash",  # by which Git calls a credential helper
    "git",
    "openssh-client",  # deploy keys, and ssh-keygen, which verifies signed commits
    "python3",
    "tini",  # takes leave of what a Git that was cut off left behind
    "tzdata",
)
SITE = "usr/lib/python3/dist-packages"


def unpack_python(locked: str, cache: Path, report: Callable[[str], None]) -> Path:
    """The folder with the programs and, at SITE, the packages of the lock; unpacked now if it is not there.

    About half a minute where mirror and index are near. DevstackError where apt knows no mirror, or where mmdebstrap
    or pip fails.
    """
    ingredients = (SUITE, PACKAGES, OPTIONS, locked)
    recipe = hashlib.sha256(repr(ingredients).encode()).hexdigest()[:12]

    def complete(tree: Path, work: Path) -> None:
        for name in ("bin", "lib", "lib64", "sbin"):  # base-files would have made them
            if (tree / "usr" / name).is_dir() and not (tree / name).exists():
                (tree / name).symlink_to(f"usr/{name}")
        install_packages(locked, tree / SITE, PYTHON, work, report)

    return unpack_suite(
        cache / f"python-{recipe}", SUITE, PACKAGES, OPTIONS, "Python and Git", report, complete
    )
