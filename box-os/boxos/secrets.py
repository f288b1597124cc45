"""What must not be in an image: a key, a token, a password, a claim, a path of the machine that built it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from ritilib.errors import Problem, RitiError

_SECRETS = {
    "a private key": re.compile(
        rb"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----\r?\n(?:[A-Za-z-]+: .*\r?\n|\r?\n)*[A-Za-z0-9+/=]{32,}"
    ),
    # a claim is one; so is a workload's identity
    "a signed token": re.compile(rb"\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{40,}"),
    "a token of Vault's": re.compile(rb"\bhv[sbr]\.[\w-]{24,}"),
    "a token of a forge's": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|glpat-[\w-]{20})\b"),
    # crypt(5): bcrypt, SHA-2, yescrypt; with the length that each has, since programs name the prefixes
    "a password's hash": re.compile(
        rb"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$[56]\$(?:rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43,86}"
        rb"|\$(?:gy|y|7)\$[./A-Za-z0-9]{2,}\$[./A-Za-z0-9]{10,}\$[./A-Za-z0-9]{43}"
    ),
}
# a card's and a box's files (ritilib/enroll/card.py, ritilib/box/store.py), whatever is in them
_NAMES = (
    *("claim.jwt", "join.json", "identity.key", "identity.crt", "overlay.key", "overlay.crt"),
    *("request.jws", "reply.json", "id_rsa", "id_ecdsa", "id_ed25519", ".netrc", "slots.json"),
)
_ACCOUNTS, _SHUT = "etc/shadow", ("*", "!", "!*", "!!")
# a library's own test of itself (FIPS 140), the same for everybody who has it
_KNOWN = ("usr/lib/*/libgnutls.so.*",)
_MEND = "find out which step of boxos/build.py puts it there"


def search(tree: Path, folders: Iterable[Path]) -> None:
    """RitiError with each file of tree that holds a secret, or the name of one of folders; and each that anybody may
    write to."""
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
    if not any(fnmatchcase(place, known) for known in _KNOWN):
        wrongs += [f"it holds {what}" for what, form in _SECRETS.items() if form.search(content)]
    name = place.rpartition("/")[2]
    if any(fnmatchcase(name, one) for one in _NAMES):
        wrongs.append(f"a file called {name} belongs to one box alone")
    if place == _ACCOUNTS:
        wrongs += [f"{one} can log in by a password" for one in _find_open(content.decode())]
    wrongs += [f"it names {name.decode()} of the machine that built it" for name in names if name in content]
    return wrongs


def _find_open(shadow: str) -> list[str]:
    accounts = [line.split(":") for line in shadow.splitlines()]
    return [one[0] for one in accounts if one[1:2] and one[1] not in _SHUT]
