"""Which Python packages the controller runs with: those that RITI requires, at the versions and hashes of its lock."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from ritilib.devstack.machine.slowly import run_slowly
from ritilib.errors import DevstackError

# recordings are made on an engineer's machine (`riti words add`), and these bring numpy: half of the image
UNUSED = ("soundfile", "soxr")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==.*(?:\n[ \t]+--hash=.*)+", re.MULTILINE)


def list_runtime(project: str, unused: Iterable[str] = UNUSED) -> frozenset[str]:
    """The normalised names of all that project needs, itself not included, as the installed packages say it.

    Extras do not count, and neither does what is not installed here because of its marker.
    """
    found: set[str] = set()
    left = [project]
    skipped = {normalise(name) for name in unused}
    while left:
        for said in _list_requirements(left.pop()):
            name = normalise(said)
            if name not in found | skipped:
                found.add(name)
                left.append(name)
    return frozenset(found)


def select_locked(lock: str, names: frozenset[str]) -> str:
    """The entries of a lock (requirements.txt with hashes) for these packages, in its order.

    DevstackError names those that it lacks.
    """
    entries = {(normalise(match[1]), match.start()): match[0] for match in _LOCKED.finditer(lock)}
    if absent := sorted(names - {name for name, _ in entries}):
        what = f"requirements.txt does not lock {', '.join(absent)}"
        raise DevstackError.because(what, "install RITI from a whole checkout or wheel")
    return "\n".join(entry for (name, _), entry in entries.items() if name in names) + "\n"


def install_packages(
    locked: str, target: Path, python: str, work: Path, report: Callable[[str], None]
) -> None:
    """Unpack the wheels of a lock for Python of this version ("3.13") into target; each must have its hash.

    DevstackError with pip's last lines.
    """
    report("fetching the controller's Python packages, by their hashes")
    file = work / "requirements.txt"
    file.write_text(locked)
    machine = platform.machine()
    tags = [f"manylinux_2_{minor}_{machine}" for minor in (39, 36, 35, 34, 31, 28, 27, 24, 17)]
    tags += [f"manylinux2014_{machine}"]
    compact = f"cp{python.replace('.', '')}"
    argv = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    argv += ["--target", str(target), "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    argv += ["--no-compile", "--implementation", "cp", "--python-version", python]
    argv += [part for tag in tags for part in ("--platform", tag)]
    argv += [part for abi in (compact, "abi3", "none") for part in ("--abi", abi)]
    run_slowly(
        [*argv, "--requirement", str(file)],
        "fetching the controller's packages",
        work / "pip.log",
        report,
        mend="the package index of pip must be reachable",
    )


def normalise(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _list_requirements(package: str) -> list[str]:
    try:
        said = requires(package) or []
    except PackageNotFoundError:
        return []
    names = []
    for requirement in said:
        plain, _, marker = requirement.partition(";")
        name = _NAME.match(plain)
        if name and "extra" not in marker and _is_installed(name[0]):
            names.append(name[0])
    return names


def _is_installed(package: str) -> bool:
    try:
        requires(package)
    except PackageNotFoundError:
        return False
    return True
