"""How a branch of the repository stands to what was applied."""

from __future__ import annotations

from pathlib import Path

from ritilib.errors import GitopsError
from ritilib.gitops.command import run_git
from ritilib.gitops.company import FLEET_FILE, parse_fleet_file
from ritilib.gitops.history import has_commit
from ritilib.gitops.objects import read_files
from ritilib.gitops.repository import check_repository, find_commit


def read_fleet_name(repo: Path, rev: str) -> str:
    """The name of the fleet whose repository this is, as rev says it.

    Raises GitopsError where repo is no repository, and where fleet.yaml of that commit is missing or cannot be used.
    """
    check_repository(repo)
    files = read_files(repo, find_commit(repo, rev), FLEET_FILE)
    if FLEET_FILE not in files:
        what = f"{rev} of {repo} holds no {FLEET_FILE}"
        raise GitopsError.because(what, "name another --rev, or the --fleet")
    return parse_fleet_file(files[FLEET_FILE])[1].name


def count_ahead(repo: Path, rev: str, applied: str) -> int | None:
    """How many commits, a merge counted as one, rev is ahead of `applied`; None where that is not known here."""
    if not applied or not has_commit(repo, applied):
        return None
    return int(run_git(repo, "rev-list", "--count", "--first-parent", f"{applied}..{find_commit(repo, rev)}"))
