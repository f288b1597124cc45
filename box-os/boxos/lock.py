"""The lock: each Debian package of the image by version, file and SHA-256. The same lock gives the same image."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ritilib.errors import Problem, RitiError

_MEND = "resolve it anew: python -m boxos lock"
_NAME = r"^[a-z0-9][a-z0-9.+-]+$"
_SHA256 = r"^[0-9a-f]{64}$"


class Package(BaseModel):
    """One .deb file. file is its path below the mirror's root, pool/…"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    version: str = Field(pattern=r"^[A-Za-z0-9.+~:-]+$")
    file: str = Field(pattern=r"^pool(/[A-Za-z0-9+][A-Za-z0-9._+~%-]*)+\.deb$")
    sha256: str = Field(pattern=_SHA256)
    size: int = Field(gt=0)


class Lock(BaseModel):
    """epoch is the suite's own date when it was resolved: the time of every file in the image. packages are the root's,
    kernels those of each flavour; both sorted by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str = Field(pattern=r"^[a-z]+$")
    architecture: str = Field(pattern=r"^[a-z0-9]+$")
    epoch: int = Field(gt=0)
    packages: tuple[Package, ...]
    kernels: Mapping[str, tuple[Package, ...]]

    def digest(self, flavour: str) -> str:
        """64 hex digits over all that an image of that flavour is made of."""
        whole = hashlib.sha256(f"{self.suite} {self.architecture} {self.epoch}\n".encode())
        for one in (*self.packages, *self.find_kernel(flavour)):
            whole.update(f"{one.name} {one.sha256}\n".encode())
        return whole.hexdigest()

    def find_kernel(self, flavour: str) -> tuple[Package, ...]:
        """The packages of that flavour's kernel; RitiError where the lock has none."""
        if flavour not in self.kernels:
            what = (
                f"the lock has no kernel of flavour {flavour}: its archive could not be had when it was made"
            )
            raise RitiError.because(what, "add that archive to apt's settings, then: python -m boxos lock")
        return self.kernels[flavour]


@dataclass(frozen=True)
class Change:
    """How one lock differs from another, for people: name → versions before and after."""

    added: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def write_lock(lock: Lock) -> str:
    """The lock's text: sorted, one line of text for each value, so that a diff shows what changed."""
    ordered = lock.model_copy(
        update={
            "packages": _sort(lock.packages),
            "kernels": {name: _sort(lock.kernels[name]) for name in sorted(lock.kernels)},
        }
    )
    return ordered.model_dump_json(indent=2) + "\n"


def read_lock(file: Path) -> Lock:
    """The lock in that file; RitiError with everything in it that cannot be used."""
    try:
        lock = Lock.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RitiError.because(f"{file.name} is not there", _MEND) from None
    except ValidationError as error:
        raise RitiError(
            Problem(file.name, 0, 0, f"{'.'.join(map(str, one['loc']))}: {one['msg']}", _MEND)
            for one in error.errors(include_url=False, include_input=False)
        ) from None
    for packages in (lock.packages, *lock.kernels.values()):
        names = [one.name for one in packages]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise RitiError([Problem(file.name, 0, 0, f"{', '.join(twice)} stand twice", _MEND)])
    return lock


def compare(before: Lock, after: Lock) -> Change:
    """What becomes of the image's packages."""
    old, new = ({one.name: one.version for one in lock.packages} for lock in (before, after))
    return Change(
        {name: new[name] for name in sorted(new.keys() - old.keys())},
        {name: old[name] for name in sorted(old.keys() - new.keys())},
        {name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]},
    )


def read_uris(said: str, mirror: str) -> dict[str, str]:
    """Name of the .deb → its path below mirror, from what `apt-get --print-uris` said."""
    found = {}
    for match in re.finditer(r"^'([^']+)' (\S+) ", said, re.MULTILINE):
        if match[1].startswith(mirror.rstrip("/") + "/"):
            found[match[2]] = match[1].removeprefix(mirror.rstrip("/") + "/")
    return found


def _sort(packages: Iterable[Package]) -> tuple[Package, ...]:
    return tuple(sorted(packages, key=lambda one: one.name))
