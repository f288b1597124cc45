"""Asterisk as Debian ships it, unpacked from the machine's own mirror into the cache; nothing of it runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from ritilib.devstack.machine.unpack import unpack_suite

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

    def strip(tree: Path, _work: Path) -> None:
        for useless in _USELESS:
            shutil.rmtree(tree / useless, ignore_errors=True)

    return unpack_suite(cache / f"debian-{recipe}", SUITE, PACKAGES, OPTIONS, "Asterisk", report, strip)
