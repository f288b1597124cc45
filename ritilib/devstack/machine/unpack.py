"""Packages of a suite of Debian, unpacked from the machine's own mirror into a cache; nothing of them runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ritilib.devstack.machine.slowly import run_slowly
from ritilib.errors import DevstackError


def unpack_suite(
    target: Path,
    suite: str,
    packages: Sequence[str],
    options: Sequence[str],
    name: str,
    report: Callable[[str], None],
    complete: Callable[[Path, Path], None],
) -> Path:
    """target, unpacked now if it is not there: whole, or not at all.

    options are mmdebstrap's; name is what waiting people are told ("Asterisk"). complete is given the unpacked tree and
    a folder for what it needs meanwhile, before the tree is put in its place. DevstackError where apt knows no mirror,
    or mmdebstrap fails.
    """
    if target.is_dir():
        return target
    mirror = find_mirror()
    report(f"unpacking {name} from Debian {suite}: no registry ships an image; half a minute, once")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}-new.", dir=target.parent))
    try:
        tree = work / "root"
        run_slowly(
            ["mmdebstrap", *options, f"--include={','.join(packages)}", suite, str(tree), mirror],
            f"unpacking {name}",
            target.parent / f"{target.name.partition('-')[0]}.log",
            report,
            # an inherited setting of the shell must not lead apt's temporary files elsewhere
            extra={"TMPDIR": str(work)},
            mend="apt's mirror must be reachable and hold Debian " + suite,
        )
        complete(tree, work)
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
