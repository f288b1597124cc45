"""The fleet's files as they lie in the work tree, where a person edits them, and RITI where it is asked to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.diff import write_whole
from ritilib.render.manifest import is_hidden


def read_fleet_files(repo: Path) -> dict[str, bytes]:
    """path in the repository → content, of every file under fleet/.

    Raises GitopsError where there is no such folder, and naming everything in it that cannot be read: a box that is
    passed over would lose its rendered files.
    """
    folder = repo / "fleet"
    if not folder.is_dir():
        raise GitopsError.because(
            f"{repo} has no folder fleet/",
            "name the GitOps repository with --repo, or make one with `riti init`",
        )
    files: dict[str, bytes] = {}
    problems: list[Problem] = []

    def refuse(path: Path, why: str) -> None:
        mend = "make it a file that can be read: what is passed over would be rendered away"
        problems.append(Problem(path.relative_to(repo).as_posix(), 0, 0, why, mend))

    def refuse_error(error: OSError) -> None:
        refuse(Path(error.filename), f"cannot be read: {error.strerror}")

    for top, folders, names in os.walk(folder, onerror=refuse_error):
        folders.sort()
        for name in sorted(names + [one for one in folders if Path(top, one).is_symlink()]):
            path = Path(top, name)
            if is_hidden(name):
                continue
            if path.is_symlink() or not path.is_file():
                refuse(path, "is no plain file")
                continue
            try:
                files[path.relative_to(repo).as_posix()] = path.read_bytes()
            except OSError as error:
                refuse_error(error)
    if problems:
        raise GitopsError(sorted(problems))
    return files


def write_files(folder: Path, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Write path in folder → text, each file whole or not at all; gives the paths of those that changed."""
    changed = []
    for path, text in texts.items():
        place = folder / path
        if not place.is_file() or place.read_bytes() != text.encode():
            write_whole(place, text)
            changed.append(path)
    return tuple(changed)
