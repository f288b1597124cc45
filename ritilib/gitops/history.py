"""Whether what was fetched goes on from what was accepted: a merge does, a rewritten history does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import GitopsError, HistoryRefused
from ritilib.gitops.command import ask_git, run_git
from ritilib.gitops.repository import find_root

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Accepted:
    """A commit that may be applied, the root of its history, and the fleet's id that this root bears."""

    commit: str
    root: str
    fleet_id: str


def judge_history(repo: Path, tip: str, last: Accepted | None, rewritten: str | None = None) -> Accepted:
    """The tip as the next accepted commit; it must hold the history of last, and have its root.

    rewritten is the full id of a commit that a person looked at: a history that was rewritten is accepted where tip
    is that commit, or where tip goes on from it and last did not yet. Raises HistoryRefused otherwise, and GitopsError
    where the repository cannot say.
    """
    if rewritten and not _COMMIT.fullmatch(rewritten):
        mend = "name all its 40 digits: git rev-parse COMMIT"
        raise GitopsError.because(f"`{rewritten}` is no full id of a commit", mend)
    run_git(repo, "rev-list", "--count", tip)  # a damaged repository fails here, and is no history to judge
    try:
        root, fleet_id = find_root(repo, tip)
    except GitopsError as error:
        raise HistoryRefused(error.problems) from error
    found = Accepted(tip, root, fleet_id)
    if last is None:
        return found
    if root != last.root:
        what = f"{tip[:12]} has another root commit ({root[:12]}) than what was accepted ({last.root[:12]})"
        raise HistoryRefused.because(
            what, "push the fleet's own history again; another fleet needs its own controller"
        )
    if holds(repo, last.commit, tip) or _is_named(repo, tip, last, rewritten):
        return found
    what = f"the branch was rewritten: {tip[:12]} does not hold {last.commit[:12]}, which was accepted before"
    mend = f"push the old history again, or, if it is meant so, accept this one: --accept-rewritten {tip}"
    raise HistoryRefused.because(what, mend)


def holds(repo: Path, older: str, newer: str) -> bool:
    """Whether newer holds all of older's history; an older that was never here is not held.

    GitopsError where the repository is damaged, so that this is never taken for a rewritten history.
    """
    if not has_commit(repo, older):
        run_git(repo, "rev-list", "--count", newer)  # all of newer is here, and older is not among it
        return False
    asked = ask_git(repo, "merge-base", "--is-ancestor", older, newer)
    if asked.status not in (0, 1):
        words = " ".join(asked.errors.split())
        raise GitopsError.because(f"{repo} cannot be read: {words}", "it is made again by itself")
    return asked.status == 0


def has_commit(repo: Path, commit: str) -> bool:
    """Whether the repository holds this commit, and can read it."""
    return ask_git(repo, "cat-file", "-e", f"{commit}^{{commit}}").status == 0


def _is_named(repo: Path, tip: str, last: Accepted, rewritten: str | None) -> bool:
    if rewritten is None:
        return False
    if tip == rewritten:
        return True
    used = has_commit(repo, last.commit) and holds(repo, rewritten, last.commit)
    return not used and holds(repo, rewritten, tip)
