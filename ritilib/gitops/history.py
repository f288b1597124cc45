"""Whether what was fetched goes on from what was accepted: a merge does, a rewritten history does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import GitopsError, HistoryRefused
from ritilib.gitops.command import ask_git, run_git
from ritilib.gitops.repository import find_root
from ritilib.gitops.signing import Signers, check_signed, read_signers

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Accepted:
    """A commit that may be applied, the root of its history, and the fleet's id that this root bears.

    signers: those who may sign what comes after it; where the commit itself cannot say, those who could before it.
    """

    commit: str
    root: str
    fleet_id: str
    signers: Signers = ()


def judge_history(repo: Path, tip: str, last: Accepted | None, rewritten: str | None = None) -> Accepted:
    """The tip as the next accepted commit; it must hold the history of last, have its root, and be signed if asked.

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
    if last is None:
        return Accepted(tip, root, fleet_id, check_signed(repo, None, read_signers(repo, tip) or (), tip))
    if root != last.root:
        what = f"{tip[:12]} has another root commit ({root[:12]}) than what was accepted ({last.root[:12]})"
        raise HistoryRefused.because(
            what, "push the fleet's own history again; another fleet needs its own controller"
        )
    goes_on = holds(repo, last.commit, tip)
    if goes_on or _is_named(repo, tip, last, rewritten):
        own = read_signers(repo, last.commit) if has_commit(repo, last.commit) else None
        trusted = last.signers if own is None else own
        if tip == last.commit:  # it was judged by those before it; who counts after it did not sign it
            return Accepted(tip, root, fleet_id, trusted)
        signers = check_signed(repo, last.commit if goes_on else None, trusted, tip)
        return Accepted(tip, root, fleet_id, signers)
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
