"""What must not be in an image: a private key, a program that gives rights, a path of the machine that built it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from ritilib.errors import Problem, RitiError

_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/=]{32,}")
# a library's own test of itself (FIPS 140), the same for everybody who has it
_KNOWN = ("usr/lib/*/libgnutls.so.*",)
_MEND = "find out which step of boxos/build.py puts it there"


def search(tree: Path, folders: Iterable[Path]) -> None:
    """RitiError with each file of tree that holds a private key, or the name of one of folders; and each that anybody
    may write to."""
    names = [str(folder).encode() for folder in folders]
    problems = []
    for path in sorted(tree.rglob("*")):
        place = str(path.relative_to(tree))
        if path.is_symlink():
            continue
        if path.stat().st_mode & stat.S_IWOTH and not path.stat().st_mode & stat.S_ISVTX:
            problems.append(Problem(place, 0, 0, "anybody may write to it", _MEND))
        if path.is_file():
            problems += [
                Problem(place, 0, 0, what, _MEND) for what in find_secrets(place, path.read_bytes(), names)
            ]
    if problems:
        raise RitiError(problems)


def find_secrets(place: str, content: bytes, names: Iterable[bytes]) -> list[str]:
    """What is wrong with a file, in words."""
    wrongs = []
    if _KEY.search(content) and not any(fnmatchcase(place, known) for known in _KNOWN):
        wrongs.append("it holds a private key")
    wrongs += [f"it names {name.decode()} of the machine that built it" for name in names if name in content]
    return wrongs
