"""Git trees without a work tree: what differs between two, and one made of another with some files changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ritilib.gitops.command import run_git

ORDINARY = "100644"
Entry = tuple[str, str]  # mode and object id, as Git's tree holds them
Changes = dict[str, tuple[Entry | None, Entry | None]]  # path → before and after; None: not there


def list_changes(repo: Path, older: str, newer: str, *without: str) -> Changes:
    """Every file that differs between two commits or trees, but those under the folders `without`."""
    excluded = (f":(exclude,top){folder}" for folder in without)
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", older, newer, "--", ".")
    fields = run_git(repo, *words, *excluded).split("\0")[:-1]
    changes: Changes = {}
    for head, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old_id, new_id, _ = head.removeprefix(":").split(" ")
        changes[path] = (_make_entry(old_mode, old_id), _make_entry(new_mode, new_id))
    return changes


def change_tree(repo: Path, base: str, entries: Mapping[str, Entry | None]) -> str:
    """The id of base's tree (of a commit or tree) with these entries in it; None takes a file out."""
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        own = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        run_git(repo, "read-tree", base, environment=own)
        gone = [f"0 {'0' * 40}\t{path}\0" for path, entry in sorted(entries.items()) if entry is None]
        here = [f"{entry[0]} {entry[1]}\t{path}\0" for path, entry in sorted(entries.items()) if entry]
        # What goes is taken out first: a file may become a folder of the same name.
        with _open_lines([*gone, *here]) as lines:
            words = ("update-index", "--add", "--replace", "-z", "--index-info")
            run_git(repo, *words, environment=own, stdin=lines)
        return run_git(repo, "write-tree", environment=own).strip()


def write_blobs(repo: Path, contents: Mapping[str, bytes]) -> dict[str, Entry]:
    """path → entry of an ordinary file with this content, written into the repository byte for byte."""
    if not contents:
        return {}
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        places = [Path(folder) / str(number) for number in range(len(contents))]
        for place, content in zip(places, contents.values(), strict=True):
            place.write_bytes(content)
        with _open_lines(f"{place}\n" for place in places) as lines:
            ids = run_git(repo, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=lines).split()
    return {path: (ORDINARY, blob) for path, blob in zip(contents, ids, strict=True)}


def _make_entry(mode: str, blob: str) -> Entry | None:
    return (mode, blob) if mode != "000000" else None


@contextmanager
def _open_lines(lines: Iterator[str] | list[str]) -> Iterator[BinaryIO]:
    """An open file that holds the lines: Git reads it to its end, and nobody waits for a pipe."""
    with tempfile.TemporaryFile() as file:
        file.write("".join(lines).encode("utf-8", "surrogateescape"))
        file.seek(0)
        yield file
