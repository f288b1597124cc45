"""How a branch of the repository stands to what was applied."""

from __future__ import annotations

from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.source import build_model, parse_source
from ritilib.gitops.command import run_git
from ritilib.gitops.history import has_commit
from ritilib.gitops.objects import read_files
from ritilib.gitops.repository import check_repository, find_commit

_FLEET = "fleet/fleet.yaml"


def read_fleet_name(repo: Path, rev: str) -> str:
    """The name of the fleet whose repository this is, as rev says it.

    Raises GitopsError where repo is no repository, and where fleet.yaml of that commit is missing or cannot be used.
    """
    check_repository(repo)
    files = read_files(repo, find_commit(repo, rev), _FLEET)
    if _FLEET not in files:
        raise GitopsError.because(f"{rev} of {repo} holds no {_FLEET}", "name another --rev, or the --fleet")
    source = parse_source(_FLEET, files[_FLEET])
    if isinstance(source, Problem):
        raise GitopsError([source])
    said, problems = build_model(source, FleetFile)
    if said is None:
        raise GitopsError(problems)
    return said.name


def count_ahead(repo: Path, rev: str, applied: str) -> int | None:
    """How many commits, a merge counted as one, rev is ahead of `applied`; None where that is not known here."""
    if not applied or not has_commit(repo, applied):
        return None
    return int(run_git(repo, "rev-list", "--count", "--first-parent", f"{applied}..{find_commit(repo, rev)}"))
