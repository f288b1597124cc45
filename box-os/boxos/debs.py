"""The locked .deb files in a cache, each verified; only what is not there is fetched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from boxos.lock import Package
from boxos.programs import run
from boxos.store import Report, hash_file
from ritilib.devstack.machine.unpack import find_mirror
from ritilib.errors import RitiError

_AT_ONCE = 50


def fetch(packages: Iterable[Package], folder: Path, report: Report) -> dict[str, Path]:
    """Name → verified file. Without the network where all are at hand.

    RitiError where one cannot be had: a mirror keeps only a suite's newest versions, so an old lock needs a cache (or
    a mirror that keeps all) that has them.
    """
    wanted = list(packages)
    folder.mkdir(parents=True, exist_ok=True)
    places = {one.name: folder / f"{one.sha256[:16]}-{Path(one.file).name}" for one in wanted}
    absent = [one for one in wanted if not _is_whole(places[one.name], one)]
    if absent:
        report(f"fetching {len(absent)} packages, {sum(one.size for one in absent) / 1e6:.0f} MB")
        mirror = find_mirror().rstrip("/")
        with tempfile.TemporaryDirectory(dir=folder) as work:
            os.chmod(work, 0o777)  # apt fetches as a user without rights
            for start in range(0, len(absent), _AT_ONCE):
                _fetch(absent[start : start + _AT_ONCE], Path(work), mirror, places)
    return places


def _fetch(packages: list[Package], work: Path, mirror: str, places: dict[str, Path]) -> None:
    # apt's own way to fetch: with the machine's proxies and credentials
    words = [
        word
        for one in packages
        for word in (f"{mirror}/{one.file}", str(work / one.sha256), f"SHA256:{one.sha256}")
    ]
    try:
        run(["/usr/lib/apt/apt-helper", "download-file", *words])
    except RitiError as error:
        what = f"packages of the lock cannot be had: {error.problems[0].what}"
        raise RitiError.because(
            what, "resolve it anew (python -m boxos lock), or use a mirror that has them"
        ) from None
    for one in packages:
        if not _is_whole(work / one.sha256, one):
            raise RitiError.because(f"{one.file} is not the file that was locked", "do not use that mirror")
        os.replace(work / one.sha256, places[one.name])


def _is_whole(file: Path, package: Package) -> bool:
    """A file of the cache may have been damaged since: it is looked at each time, half a second for all."""
    return file.is_file() and file.stat().st_size == package.size and hash_file(file) == package.sha256
