"""Reads files out of one commit, thousands at a time, and never from the work tree."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TypeVar

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.command import run_git, stream_git

_Value = TypeVar("_Value")
_ORDINARY = ("100644", "100755")


def read_files(repo: Path, commit: str, *folders: str) -> dict[str, bytes]:
    """path in the repository → content, for every file under folders ("fleet") in commit.

    Two processes of Git whatever the number of files; equal files are read once and share one value. Raises
    GitopsError, all problems at once, for links and submodules (they lead out of the commit) and for objects
    that the repository has lost.
    """
    return _read(repo, commit, folders, bytes)


def read_texts(repo: Path, commit: str, *folders: str) -> dict[str, str]:
    """The same as text; a byte that is not UTF-8 becomes a lone surrogate, which no text of ours holds."""
    return _read(repo, commit, folders, lambda content: content.decode("utf-8", "surrogateescape"))


def read_blobs(repo: Path, blobs: Iterable[str]) -> dict[str, bytes]:
    """id → content of these blobs; GitopsError where the repository has lost one."""
    asked = list(dict.fromkeys(blobs))
    contents = _read_blobs(repo, asked, bytes)
    lost = [blob for blob in asked if blob not in contents]
    if lost:
        what = f"{repo} has lost the object {lost[0][:12]}"
        raise GitopsError.because(what, "fetch again into a new clone; this one is damaged or partial")
    return contents


def list_blobs(repo: Path, commit: str, *folders: str) -> dict[str, str]:
    """path in the repository → blob id, for every file under folders in commit; GitopsError as read_files."""
    ids, problems = _list(repo, commit, folders)
    if problems:
        raise GitopsError(sorted(problems))
    return ids


def list_entries(repo: Path, commit: str, folder: str) -> dict[str, tuple[str, str]]:
    """name → (mode, object id) of what stands in a folder of commit itself; mode "040000" is a folder's."""
    found = {}
    for line in run_git(repo, "ls-tree", "-z", "--full-tree", commit, "--", f"{folder}/").split("\0")[:-1]:
        head, _, path = line.partition("\t")
        mode, _, name = head.split(" ")
        found[path.removeprefix(f"{folder}/")] = (mode, name)
    return found


def refuse_odd(path: str, mode: str) -> Problem | None:
    """The problem with a file of this mode; None with an ordinary one."""
    if mode in _ORDINARY:
        return None
    kind = "a submodule" if mode == "160000" else "a symbolic link"
    return Problem(path, 0, 0, f"is {kind}", "put an ordinary file in its place")


def _read(
    repo: Path, commit: str, folders: Iterable[str], convert: Callable[[bytes], _Value]
) -> dict[str, _Value]:
    ids, problems = _list(repo, commit, folders)
    contents = _read_blobs(repo, list(dict.fromkeys(ids.values())), convert)
    mend = "fetch again into a new clone; this one is damaged or partial"
    for path, blob in ids.items():
        if blob not in contents:
            problems.append(Problem(path, 0, 0, f"its content (object {blob[:12]}) is missing", mend))
    if problems:
        raise GitopsError(sorted(problems))
    return {path: contents[blob] for path, blob in ids.items()}


def _list(repo: Path, commit: str, folders: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """path → blob id of the ordinary files, and a problem for each other one."""
    listed = run_git(repo, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *folders)
    ids: dict[str, str] = {}
    problems = []
    for line in listed.split("\0")[:-1]:
        head, _, path = line.partition("\t")
        mode, _, blob = head.split(" ")
        if problem := refuse_odd(path, mode):
            problems.append(problem)
        else:
            ids[path] = blob
    return ids, problems


def _read_blobs(repo: Path, blobs: list[str], convert: Callable[[bytes], _Value]) -> dict[str, _Value]:
    """id → content; an object that is missing is left out."""
    with tempfile.TemporaryFile() as asked:  # a file and not a pipe: both ends would wait for each other
        asked.write("".join(f"{blob}\n" for blob in blobs).encode())
        asked.seek(0)
        process = stream_git(repo, "cat-file", "--batch", "--buffer", stdin=asked)
        assert process.proc is not None and process.proc.stdout is not None
        with (
            process.proc.stdout as stream
        ):  # closed before waiting, so that Git cannot wait for us to read on
            contents = _parse_batch(stream, blobs, convert)
        status = process.proc.wait()
    if status != 0 or contents is None:
        mend = "look with `git fsck`; then fetch again into a new clone"
        raise GitopsError.because(
            f"Git could not read the objects of {repo} (`git cat-file`: {status})", mend
        )
    return contents


def _parse_batch(
    stream: IO[bytes], blobs: list[str], convert: Callable[[bytes], _Value]
) -> dict[str, _Value] | None:
    """The answers of `git cat-file --batch`; None where the stream ends early or says something else."""
    contents: dict[str, _Value] = {}
    for blob in blobs:
        head = stream.readline().split()
        if len(head) == 2 and head[1] == b"missing":
            continue
        if len(head) != 3 or head[0] != blob.encode() or head[1] != b"blob":
            return None
        size = int(head[2])
        content = stream.read(size)
        if len(content) != size or stream.read(1) != b"\n":
            return None
        contents[blob] = convert(content)
    return contents
