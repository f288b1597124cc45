"""A root file system as a value, and as a tar with the same bytes each time."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Folder:
    mode: int = 0o755


@dataclass(frozen=True)
class File:
    """content is the bytes themselves, or the file that holds them."""

    content: bytes | Path
    mode: int = 0o644

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True)
class Link:
    target: str


Root = Mapping[str, Folder | File | Link]


def write_tar(root: Root, target: Path) -> int:
    """Write root (path in the image, without a leading slash → what is there) and return its unpacked bytes.

    Sorted, no clock, all owned by root: the same root gives the same bytes. Parent folders are added.
    """
    whole = dict(root)
    for path in root:
        for parent in PurePosixPath(path).parents:
            if str(parent) != ".":
                whole.setdefault(str(parent), Folder())
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".new")
    with tarfile.open(beside, "w", format=tarfile.GNU_FORMAT) as archive:
        for path, entry in sorted(whole.items()):
            _add(archive, path, entry)
    beside.rename(target)
    return sum(entry.size for entry in whole.values() if isinstance(entry, File))


def _add(archive: tarfile.TarFile, path: str, entry: Folder | File | Link) -> None:
    info = tarfile.TarInfo(path)
    match entry:
        case Folder(mode):
            info.type, info.mode = tarfile.DIRTYPE, mode
            archive.addfile(info)
        case Link(aim):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, aim, 0o777
            archive.addfile(info)
        case File(content, mode):
            info.size, info.mode = entry.size, mode
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
                archive.addfile(info, stream)
