"""How what is rendered differs from what should be, and how the work tree is made so.

RITI writes in two places only: rendered/, which is all its own, and fleet/claims/.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from ritilib.errors import GitopsError
from ritilib.gitops.objects import read_texts
from ritilib.gitops.repository import check_repository, find_commit
from ritilib.gitops.stamps import Stamp, list_stamps
from ritilib.render.manifest import is_hidden

RENDERED = "rendered"
CLAIMS = "fleet/claims"
_NO_FILE = "\0a link or the like, which equals no text"


@dataclass(frozen=True, order=True)
class Change:
    """One file that is to be added, changed or removed; path is relative to the repository."""

    path: str
    kind: Literal["added", "changed", "removed"]


def compare(current: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """What must happen to current (path → text) so that it becomes wanted; sorted by path."""
    added = (Change(path, "added") for path in wanted.keys() - current.keys())
    removed = (Change(path, "removed") for path in current.keys() - wanted.keys())
    changed = (
        Change(path, "changed") for path in wanted.keys() & current.keys() if wanted[path] != current[path]
    )
    return tuple(sorted([*added, *removed, *changed]))


def read_rendered(repo: Path, rev: str) -> dict[str, str]:
    """path → text of what RITI wrote (rendered/ and fleet/claims/) in the commit that rev names.

    Raises GitopsError where rev is no commit or the repository cannot be read.
    """
    check_repository(repo)
    texts = read_texts(repo, find_commit(repo, rev), RENDERED, CLAIMS)
    return {path: text for path, text in texts.items() if is_ours(path)}


def read_rendered_tree(root: Path) -> dict[str, str]:
    """path → text of what RITI wrote (rendered/ and fleet/claims/) as it lies in the work tree at root."""
    return {
        path: text
        for top in (RENDERED, CLAIMS)
        for path, text in read_found(root, list_stamps(root, top)).items()
        if is_ours(path)
    }


def read_found(root: Path, found: Iterable[tuple[str, Stamp]]) -> dict[str, str]:
    """path → text of files that were found below root; what is no plain file equals no text, and is not followed."""
    return {path: _read(f"{root}/{path}") if stat.S_ISREG(one[0]) else _NO_FILE for path, one in found}


def write_tree(root: Path, wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """Make rendered/ and fleet/claims/ of the work tree at root equal to wanted, and say what changed.

    Only what differs is touched; each file is written beside its place and renamed. A run that is killed
    leaves whole files only, and the next one ends its work. Raises GitopsError, before anything is written,
    for a path elsewhere.
    """
    _refuse_elsewhere(wanted)
    changes = compare(read_rendered_tree(root), wanted)
    write_changes(root, changes, wanted)
    return changes


def write_changes(
    root: Path, changes: Iterable[Change], wanted: Mapping[str, str]
) -> dict[str, tuple[int, int, int]]:
    """Carry out changes in the work tree at root; wanted has the text of each file that is not to be removed.

    Gives path → (inode, mtime in ns, size) of what was written: by these it is known again as our own. The same
    promises, and the same error, as write_tree's.
    """
    changes = tuple(changes)
    _refuse_elsewhere(change.path for change in changes if change.kind != "removed")
    for change in changes:
        if change.kind == "removed":
            _remove(root, root / change.path)
    return {
        change.path: write_whole(f"{root}/{change.path}", wanted[change.path])
        for change in changes
        if change.kind != "removed"
    }


def _refuse_elsewhere(paths: Iterable[str]) -> None:
    strange = [path for path in sorted(paths) if not _is_inside(path)]
    if strange:
        raise GitopsError.because(
            f"`{strange[0]}` is not under {RENDERED}/ or {CLAIMS}/", "report this as a bug of RITI"
        )


def is_ours(path: str) -> bool:
    """Whether a file of rendered/ or fleet/claims/ is RITI's.

    In fleet/claims/ people's .gitkeep stays; in rendered/ a file is RITI's, or a stray to be removed.
    """
    return path.startswith(f"{RENDERED}/") or path in (RENDERED, CLAIMS) or not is_hidden(path)


def _is_inside(path: str) -> bool:
    return path.startswith((f"{RENDERED}/", f"{CLAIMS}/")) and ".." not in PurePosixPath(path).parts


def _read(place: str) -> str:
    with open(place, "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


def _remove(root: Path, place: Path) -> None:
    place.unlink()
    for folder in place.parents:
        if folder in (root, root / CLAIMS):
            return
        try:
            folder.rmdir()
        except OSError:
            return  # not empty


def write_whole(place: str | Path, text: str | bytes) -> tuple[int, int, int]:
    """Write text, or content, to place: beside it first, then renamed, so that nobody sees half a file.

    Gives (inode, mtime in ns, size) of what was written.
    """
    folder, name = os.path.split(place)
    beside = f"{folder}/.riti-{name}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        handle = os.open(beside, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(beside, flags, 0o666)
    try:
        content = text.encode("utf-8") if isinstance(text, str) else text
        while content:
            content = content[os.write(handle, content) :]
        made = os.fstat(handle)
    finally:
        os.close(handle)
    try:
        os.replace(beside, place)
    except IsADirectoryError:
        os.rmdir(place)  # empty, since what was in it has been removed
        os.replace(beside, place)
    return made.st_ino, made.st_mtime_ns, made.st_size
