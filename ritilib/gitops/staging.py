"""The work tree's fleet/ and rendered/ as a Git tree, made in an index of our own."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ritilib.gitops.command import run_git

FOLDERS = ("fleet", "rendered")


@dataclass(frozen=True)
class Staged:
    """tree: the id of the base's tree with the work tree's fleet/ and rendered/ in it.

    left_alone: paths outside these that differ from the base (files that Git ignores are not named).
    """

    tree: str
    left_alone: tuple[str, ...]


def stage_work_tree(repo: Path, base: str) -> Staged:
    """The tree that base becomes with the work tree's fleet/ and rendered/; the user's index stays."""
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        index = Path(folder) / "index"
        own = {"GIT_INDEX_FILE": str(index)}
        users = repo / run_git(repo, "rev-parse", "--git-path", "index").rstrip("\n")
        if users.is_file():
            shutil.copy2(
                users, index
            )  # it knows which files are unchanged, so that Git need not read them again
        run_git(repo, "read-tree", "--reset", base, environment=own)
        for name in FOLDERS:
            # Somebody's own ignore rules (*.conf is a common one) must not take rendered files out.
            words = ("add", "--all", *(("--force",) if name == "rendered" else ()), "--", name)
            if (repo / name).exists() or run_git(repo, "ls-files", "--", name, environment=own):
                run_git(repo, *words, environment=own)
        tree = run_git(repo, "write-tree", environment=own).strip()
        outside = ("--", ".", *(f":(exclude,top){name}" for name in FOLDERS))
        changed = run_git(repo, "diff", "--name-only", "-z", *outside, environment=own)
        unknown = run_git(repo, "ls-files", "-z", "--others", "--exclude-standard", *outside, environment=own)
    return Staged(tree, tuple(sorted(filter(None, (changed + unknown).split("\0")))))
