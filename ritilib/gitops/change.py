"""A change of the fleet's files by command: judged with the whole fleet first, written only if nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ritilib.fleet.load import Loaded, load_fleet
from ritilib.gitops.worktree import read_fleet_files, write_files

Edit = Callable[[Mapping[str, bytes]], Mapping[str, str | bytes | None]]


@dataclass(frozen=True)
class Changed:
    """The files that were written or removed, and the fleet as it is now."""

    paths: tuple[str, ...]
    loaded: Loaded


def change_fleet(repo: Path, edit: Edit) -> Changed:
    """Let edit say (path → text or content, None: no such file any more) what becomes of files under fleet/, and do it.

    Raises what edit raises, GitopsError where the files cannot be read, and FleetError with every problem that the
    fleet would have; nothing is written then. Each file is written beside its place and renamed.
    """
    files = read_fleet_files(repo)
    wanted = edit(files)
    contents = {
        path: said.encode() if isinstance(said, str) else said
        for path, said in wanted.items()
        if said is not None
    }
    gone = [path for path, said in wanted.items() if said is None]
    kept = {path: content for path, content in files.items() if path not in wanted}
    loaded = load_fleet(kept | contents)
    written = write_files(repo, contents)
    for path in gone:
        (repo / path).unlink()
    return Changed((*written, *gone), loaded)
