"""The fleet's files as they lie in the work tree, where a person edits them, and RITI where it is asked to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.diff import write_whole
from ritilib.gitops.stamps import Stamp, to_stamp
from ritilib.render.manifest import is_hidden


def read_fleet_files(repo: Path) -> dict[str, bytes]:
    """path in the repository → content, of every file under fleet/; raises GitopsError as find_fleet_files does."""
    return read_contents(repo, find_fleet_files(repo))


def find_fleet_files(repo: Path) -> dict[str, Stamp]:
    """path in the repository → stamp, of every file under fleet/ that RITI does not overlook.

    Raises GitopsError where there is no such folder, and naming everything in it that cannot be read: a box that is
    passed over would lose its rendered files.
    """
    folder = repo / "fleet"
    if not folder.is_dir():
        raise GitopsError.because(
            f"{repo} has no folder fleet/",
            "name the GitOps repository with --repo, or make one with `riti init`",
        )
    files: dict[str, Stamp] = {}
    problems: list[Problem] = []

    def look(above: str) -> None:
        try:
            with os.scandir(f"{repo}/{above}") as entries:
                for entry in entries:
                    path = f"{above}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        look(path)
                    elif is_hidden(entry.name):
                        continue
                    elif entry.is_file(follow_symlinks=False):
                        files[path] = to_stamp(entry.stat(follow_symlinks=False))
                    else:
                        problems.append(_refuse(path, "is no plain file"))
        except OSError as error:
            place = os.path.relpath(error.filename or f"{repo}/{above}", repo)
            problems.append(_refuse(place, f"cannot be read: {error.strerror}"))

    look("fleet")
    if problems:
        raise GitopsError(sorted(problems))
    return files


def read_contents(repo: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """path → content of these files of the work tree; GitopsError naming each that cannot be read."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            with open(f"{repo}/{path}", "rb") as file:
                files[path] = file.read()
        except OSError as error:
            problems.append(_refuse(path, f"cannot be read: {error.strerror}"))
    if problems:
        raise GitopsError(sorted(problems))
    return files


def write_files(folder: Path, texts: Mapping[str, str | bytes]) -> tuple[str, ...]:
    """Write path in folder → text or content, each file whole or not at all; gives the paths of those that changed."""
    changed = []
    for path, text in texts.items():
        place = folder / path
        content = text.encode() if isinstance(text, str) else text
        if not place.is_file() or place.read_bytes() != content:
            write_whole(place, content)
            changed.append(path)
    return tuple(changed)


def _refuse(path: str, why: str) -> Problem:
    mend = "make it a file that can be read: what is passed over would be rendered away"
    return Problem(path, 0, 0, why, mend)
