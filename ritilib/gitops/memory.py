"""What one work tree's last good state was, kept outside the repository so that the next command need not look again.

It is a cache and no truth: the rules of what is believed are in refresh.py. It holds nothing that the repository does
not say, and is lost without harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import ritilib
from ritilib.assets import find_assets
from ritilib.errors import Problem
from ritilib.gitops.stamps import Stamp

KEPT = 16  # work trees; the one of 10,000 boxes takes about 10 MB
_LIBRARIES = ("jinja2", "phonenumbers", "pydantic", "pydantic-core", "ruamel.yaml", "ritilib")


class KnownFile(NamedTuple):
    """A file under fleet/: its stamp as text ("" where it was too young), its Git blob id, and find_scope's answer."""

    stamp: str
    blob: str
    scope: str | None


@dataclass(frozen=True)
class Part:
    """A company (or "_fleet") that was found to be right.

    unique are its values of list_unique, placed its boxes at each place, warnings those about its own files; claimed
    says that its claims stood in the work tree; stamp is the digest of its rendered folder when that was right, ""
    where it is not known to be.
    """

    boxes: int
    extensions: int
    unique: tuple[str, ...]
    placed: tuple[tuple[str, int], ...]
    warnings: tuple[Problem, ...]
    claimed: bool
    stamp: str


@dataclass(frozen=True)
class Remembered:
    """path → file of the fleet, and folder of rendered/ → part."""

    files: Mapping[str, KnownFile]
    parts: Mapping[str, Part]


@dataclass(frozen=True)
class Memory:
    """Where the memory of one work tree lies; folder None remembers nothing."""

    folder: Path | None
    root: Path

    @property
    def place(self) -> Path | None:
        if self.folder is None:
            return None
        name = hashlib.blake2b(os.fsencode(self.root.resolve()), digest_size=16).hexdigest()
        return self.folder / f"{name}.json"

    def recall(self) -> Remembered | None:
        """What was kept by this very RITI; None for nothing, and for what is damaged or another's."""
        if self.place is None:
            return None
        try:
            head, _, body = self.place.read_bytes().partition(b"\n")
            if head.decode() != _sign(body):
                return None
            said = json.loads(body)
            files = {path: KnownFile(*entry) for path, entry in said["files"].items()}
            parts = {
                name: Part(
                    boxes,
                    extensions,
                    tuple(unique),
                    tuple((place, count) for place, count in placed),
                    tuple(Problem(*one) for one in warned),
                    *rest,
                )
                for name, (boxes, extensions, unique, placed, warned, *rest) in said["parts"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Remembered(files, parts)

    def keep(self, known: Remembered) -> None:
        """Keep it, whole or not at all; a disk that is full or read-only costs the next command its haste only."""
        if self.place is None:
            return
        said = {"files": known.files, "parts": {name: astuple(part) for name, part in known.parts.items()}}
        body = json.dumps(said, separators=(",", ":")).encode()
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, beside = tempfile.mkstemp(prefix=".new-", dir=self.place.parent)
            try:
                with open(handle, "wb") as file:
                    file.write(_sign(body).encode() + b"\n" + body)
                os.replace(beside, self.place)
            except BaseException:
                os.unlink(beside)
                raise
            _prune(self.place.parent)
        except OSError:
            return


def write_stamp(stamp: Stamp) -> str:
    """A stamp as it is kept."""
    return " ".join(map(str, stamp))


def hash_blob(content: bytes) -> str:
    """The file's blob id, as Git has it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@cache
def hash_code() -> str:
    """40 hex digits over all that decides what is rendered besides the fleet: RITI's own files and its libraries."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((sys.version, [version(name) for name in _LIBRARIES])).encode())
    for folder in (Path(ritilib.__file__).parent, find_assets("jobs")):
        for path in sorted(folder.rglob("*")):
            if path.suffix != ".pyc" and path.is_file():
                digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _sign(body: bytes) -> str:
    return f"{hash_code()} {hashlib.blake2b(body, digest_size=20).hexdigest()}"


def _prune(folder: Path) -> None:
    """Leave the youngest ones only; what a killed process left beside them goes with time."""
    places = sorted(folder.iterdir(), key=lambda place: place.stat().st_mtime, reverse=True)
    for place in places[KEPT:]:
        place.unlink(missing_ok=True)
