"""Brings a clone to the remote's main after a merge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.command import run_git
from ritilib.gitops.repository import BASE, check_repository, fetch_base, is_ancestor
from ritilib.gitops.staging import FOLDERS, stage_work_tree


def pull_base(repo: Path, report: Callable[[str], None]) -> str:
    """Move the local main and its work tree forward to the remote's main; gives that commit.

    What was proposed from here still lies changed in the work tree: where it is what was merged, it is taken
    over. Raises GitopsError, with nothing changed, where the work tree holds anything else, where another
    branch than main is checked out, where main has commits of its own, or where the fetch fails.
    """
    check_repository(repo, bare=False)
    current = run_git(repo, "rev-parse", "--abbrev-ref", "HEAD").strip()
    if current != BASE:
        raise GitopsError.because(f"{repo} is on `{current}`, not on {BASE}", f"git -C {repo} switch {BASE}")
    merged = fetch_base(repo, report)
    if not is_ancestor(repo, "HEAD", merged):
        raise GitopsError.because(
            f"the local {BASE} has commits that the remote's has not", "propose them, or reset it"
        )
    work = stage_work_tree(repo, "HEAD").tree
    changed = _name_differences(repo, "HEAD^{tree}", work)
    other = changed & _name_differences(repo, work, f"{merged}^{{tree}}")
    if other:
        mend = "propose it, or put it aside: git stash; then again"
        raise GitopsError(
            Problem(path, 0, 0, "is changed here, and not as it was merged", mend) for path in sorted(other)
        )
    if changed:
        run_git(repo, "add", "--all", "--", *(name for name in FOLDERS if (repo / name).exists()))
    run_git(repo, "merge", "--quiet", "--ff-only", merged)
    report(f"{BASE} is at {merged[:12]}")
    return merged


def _name_differences(repo: Path, older: str, newer: str) -> set[str]:
    listed = run_git(repo, "diff-tree", "-r", "-z", "--name-only", "--no-renames", older, newer)
    return set(filter(None, listed.split("\0")))
