"""Asterisk as Debian ships it, unpacked from the machine's own mirror into the cache; nothing of it runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ritilib.devstack.machine.slowly import run_slowly
from ritilib.errors import DevstackError

SUITE = "forky"  # the only suite of Debian with Asterisk 22: bookworm and trixie have none
PACKAGES = (
    "asterisk",
    "asterisk-modules",
    "asterisk-core-sounds-en-gsm",
    "asterisk-core-sounds-es-gsm",
    "asterisk-core-sounds-fr-gsm",
    "asterisk-core-sounds-it-gsm",
    "asterisk-core-sounds-ru-gsm",
    "tzdata",
)
OPTIONS = (
    "--mode=root",
    "--variant=extract",
    "--components=main",
    # a suite in the making renews its Release file late; the signature is checked all the same
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=APT::Install-Recommends "false"',
)
# of the 268 MB that are unpacked, what an image can never hold
_USELESS = (
    "usr/bin",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/perl",
    "usr/share/locale",
    "var",
    "dev",
    "tmp",
)


def unpack_asterisk(cache: Path, report: Callable[[str], None]) -> Path:
    """The folder with Asterisk, its modules and all libraries, unpacked now if it is not there.

    About half a minute where the mirror is near (14 to 27 s measured). DevstackError where apt knows no
    Debian mirror, or mmdebstrap fails.
    """
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, OPTIONS, _USELESS)).encode()).hexdigest()[:12]
    target = cache / f"debian-{recipe}"
    if target.is_dir():
        return target
    mirror = find_mirror()
    report(f"unpacking Asterisk from Debian {SUITE}: no registry ships an image; half a minute, once")
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="debian-new.", dir=cache))
    try:
        tree = work / "root"
        run_slowly(
            ["mmdebstrap", *OPTIONS, f"--include={','.join(PACKAGES)}", SUITE, str(tree), mirror],
            "unpacking Asterisk",
            cache / "debian.log",
            report,
            # an inherited setting of the shell must not lead apt's temporary files elsewhere
            extra={"TMPDIR": str(work)},
            mend="apt's mirror must be reachable and hold Debian " + SUITE,
        )
        for useless in _USELESS:
            shutil.rmtree(tree / useless, ignore_errors=True)
        tree.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def find_mirror() -> str:
    """The site of Debian's main archive in the machine's own apt settings; DevstackError if it has none."""
    mend = "add a line of Debian's main archive to /etc/apt/sources.list"
    if site := _ask_apt(mend):
        return site
    # A new machine's lists may be empty, and then apt names no site at all.
    subprocess.run(["apt-get", "update"], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if site := _ask_apt(mend):
        return site
    raise DevstackError.because("apt knows no mirror of Debian's main archive", mend)


def _ask_apt(mend: str) -> str | None:
    try:
        lines = subprocess.run(
            [
                "apt-get",
                "indextargets",
                "--format",
                "$(ORIGIN)\t$(LABEL)\t$(COMPONENT)\t$(SITE)",
                "Created-By: Packages",
            ],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        raise DevstackError.because("apt does not tell where its mirrors are", mend) from error
    for line in lines:
        origin, label, component, site = line.split("\t")
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return site
    return None
