"""Plays the forge for the demo and the tests: an empty bare repository, and its merge button."""

from __future__ import annotations

from pathlib import Path

from ritilib.errors import GitopsError
from ritilib.gitops.command import ask_git, run_git
from ritilib.gitops.repository import BASE, check_repository, find_commit, has_ref, is_ancestor, write_commit

_FORGE = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "forge"), ("EMAIL", "forge@localhost"))
}


def create_forge(folder: Path) -> None:
    """Make an empty bare repository with the branch `main` at folder, which is absent or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GitopsError.because(f"{folder} exists and is not empty", "name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    run_git(folder, "init", "--quiet", "--bare", f"--initial-branch={BASE}", ".")


def merge(repo: Path, branch: str) -> str:
    """Merge a branch into main with a merge commit, as a forge does that requires up-to-date branches.

    repo is a bare repository, or one whose work tree is not on main. Gives the merge commit. Raises
    GitopsError where the branch is unknown, holds nothing new, or lacks commits of main; also where main
    moved while merging.
    """
    check_repository(repo)
    if not has_ref(repo, f"refs/heads/{branch}"):
        raise GitopsError.because(f"{repo} has no branch `{branch}`", "push it first")
    is_bare = ask_git(repo, "rev-parse", "--is-bare-repository").output.strip() == "true"
    if not is_bare and run_git(repo, "rev-parse", "--abbrev-ref", "HEAD").strip() == BASE:
        raise GitopsError.because(f"{repo} has {BASE} checked out", "merge in a bare repository")
    base, tip = find_commit(repo, f"refs/heads/{BASE}"), find_commit(repo, f"refs/heads/{branch}")
    if is_ancestor(repo, tip, base):
        raise GitopsError.because(f"`{branch}` holds nothing that {BASE} has not", "nothing is left to do")
    if not is_ancestor(repo, base, tip):
        what = f"`{branch}` is not up to date: it lacks commits of {BASE}"
        raise GitopsError.because(what, f"riti propose --update --branch {branch}")
    tree = run_git(repo, "rev-parse", f"{tip}^{{tree}}").strip()
    merged = write_commit(repo, tree, (base, tip), f"Merge {branch}", _FORGE)
    run_git(repo, "update-ref", "-m", f"merge {branch}", f"refs/heads/{BASE}", merged, base)
    return merged
