"""How what is rendered differs from what should be, and how the work tree is made so.

RITI writes in two places only: rendered/, which is all its own, and fleet/claims/.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from ritilib.errors import GitopsError
from ritilib.gitops.objects import read_texts
from ritilib.gitops.repository import check_repository, find_commit
from ritilib.render.manifest import is_hidden

RENDERED = "rendered"
CLAIMS = "fleet/claims"
_LINK = "\0a link, which equals no text"


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
    return {path: text for top in (RENDERED, CLAIMS) for path, text in _scan(root, top) if is_ours(path)}


def write_tree(root: Path, wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """Make rendered/ and fleet/claims/ of the work tree at root equal to wanted, and say what changed.

    Only what differs is touched; each file is written beside its place and renamed. A run that is killed
    leaves whole files only, and the next one ends its work. Raises GitopsError, before anything is written,
    for a path elsewhere.
    """
    strange = [path for path in sorted(wanted) if not _is_inside(path)]
    if strange:
        raise GitopsError.because(
            f"`{strange[0]}` is not under {RENDERED}/ or {CLAIMS}/", "report this as a bug of RITI"
        )
    changes = compare(read_rendered_tree(root), wanted)
    for change in changes:
        if change.kind == "removed":
            _remove(root, root / change.path)
    for change in changes:
        if change.kind != "removed":
            _write(root / change.path, wanted[change.path])
    return changes


def _scan(root: Path, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every file under path; links are not followed."""
    place = root / path
    if place.is_symlink():
        yield path, _LINK
    elif place.is_dir():
        for name in sorted(os.listdir(place)):
            yield from _scan(root, f"{path}/{name}")
    elif place.is_file():
        yield path, _decode(place.read_bytes())


def is_ours(path: str) -> bool:
    """Whether a file of rendered/ or fleet/claims/ is RITI's.

    In fleet/claims/ people's .gitkeep stays; in rendered/ a file is RITI's, or a stray to be removed.
    """
    return path.startswith(f"{RENDERED}/") or path in (RENDERED, CLAIMS) or not is_hidden(path)


def _is_inside(path: str) -> bool:
    return path.startswith((f"{RENDERED}/", f"{CLAIMS}/")) and ".." not in PurePosixPath(path).parts


def _decode(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _remove(root: Path, place: Path) -> None:
    place.unlink()
    for folder in place.parents:
        if folder in (root, root / CLAIMS) or any(folder.iterdir()):
            return
        folder.rmdir()


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        place.rmdir()  # empty, since what was in it has been removed
    beside = place.parent / f".riti-{place.name}.tmp"
    beside.write_bytes(text.encode("utf-8"))
    beside.replace(place)
