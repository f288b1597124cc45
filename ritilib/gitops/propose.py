"""Puts what changed under fleet/ and rendered/ on a branch of one commit; the user's own stays as it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.command import ask_git, hide_credentials, run_git
from ritilib.gitops.desired import read_desired
from ritilib.gitops.repository import (
    BASE,
    REMOTE,
    check_identity,
    check_repository,
    fetch_base,
    find_base,
    has_ref,
    has_remote,
    is_ancestor,
    write_commit,
)
from ritilib.gitops.staging import Staged, stage_work_tree

_REVIEW_URL = re.compile(r"^remote:.*?(https?://\S*(?:pull|merge_requests|compare)\S*)", re.MULTILINE)


@dataclass(frozen=True)
class Proposal:
    """A branch of one commit; url is where the forge says that a pull request is opened, if it says so.

    left_alone are the files that changed outside fleet/ and rendered/, and are not in the commit.
    """

    branch: str
    commit: str
    url: str | None
    left_alone: tuple[str, ...] = ()


def propose(
    repo: Path,
    message: str,
    branch: str | None,
    push: bool,
    report: Callable[[str], None],
    drift: Iterable[Problem] = (),
) -> Proposal:
    """Make one commit of the work tree's fleet/ and rendered/ on top of the remote's main (else the local).

    branch None: named after the tree and its base, `riti/<12 digits>`, so that the same proposal twice is one branch
    and one commit, and a change back to an earlier tree is another. push: fetch first and push afterwards, where there
    is a remote. drift is what `riti render --check` found: a proposal is refused unless it is empty. The work tree, the
    index and the current branch stay as they were.

    Raises GitopsError: rendered/ is not what the fleet renders, nothing changed, main has moved on, the
    branch holds something else, sync would refuse the commit, Git does not know the author, the remote
    refuses the push.
    """
    problems = tuple(drift)
    if problems:
        raise GitopsError(problems)
    check_repository(repo, bare=False)
    check_identity(repo)
    base = _find_base(repo, push, report)
    staged = stage_work_tree(repo, base)
    if staged.left_alone:
        report(f"left alone, since not under fleet/ or rendered/: {', '.join(staged.left_alone)}")
    if staged.tree == run_git(repo, "rev-parse", f"{base}^{{tree}}").strip():
        what = f"nothing changed under fleet/ and rendered/ since {base[:12]}, the tip of {BASE}"
        raise GitopsError.because(what, "edit fleet/, run `riti render`, then propose")
    name = check_branch(repo, branch or _name_branch(base, staged.tree))
    commit = _find_proposed(repo, name, staged, base)
    if commit is None:
        commit = write_commit(repo, staged.tree, (base,), message)
        check_desired(repo, commit)
        run_git(repo, "update-ref", "-m", "riti propose", f"refs/heads/{name}", commit, "0" * len(commit))
        report(f"{name} holds {commit[:12]}")
    else:
        report(f"{name} holds this change already, as {commit[:12]}")
    mend = "look at the network and at your access to the forge; proposing again pushes the same commit"
    url = push_branch(repo, name, commit, report, mend) if push and has_remote(repo) else None
    return Proposal(name, commit, url, staged.left_alone)


def _find_base(repo: Path, push: bool, report: Callable[[str], None]) -> str:
    base = fetch_base(repo, report) if push and has_remote(repo) else find_base(repo)
    if not is_ancestor(repo, base, "HEAD"):
        # A commit of this work tree would take back what others merged since.
        what = f"{BASE} has moved on to {base[:12]}, which your work tree does not have"
        mend = (
            "git add fleet rendered; git pull --ff-only (or git stash; git pull; git stash pop); riti render"
        )
        raise GitopsError.because(what, f"{mend}; then propose again")
    return base


def _name_branch(base: str, tree: str) -> str:
    return f"riti/{hashlib.sha256(f'{base} {tree}'.encode()).hexdigest()[:12]}"


def check_branch(repo: Path, branch: str) -> str:
    """The name, where a proposal may be called so; else GitopsError."""
    if ask_git(repo, "check-ref-format", "--branch", branch).status != 0 or branch.startswith("@{"):
        raise GitopsError.because(f"`{branch}` cannot be a branch's name", "name it such as add-salto")
    if branch in (BASE, "HEAD"):
        raise GitopsError.because(
            f"a proposal is never put on `{branch}` itself", "name another branch, or none"
        )
    return branch


def _find_proposed(repo: Path, branch: str, staged: Staged, base: str) -> str | None:
    """The commit if the branch (here or on the remote) holds it already; GitopsError for another change."""
    for ref in (f"refs/heads/{branch}", f"refs/remotes/{REMOTE}/{branch}"):
        if not has_ref(repo, ref):
            continue
        commit, tree, *parents = run_git(repo, "show", "-s", "--format=%H %T %P", ref).split()
        if (tree, parents) == (staged.tree, [base]):
            return commit
        raise GitopsError.because(
            f"the branch {branch} exists and holds another change", "name another branch, or none"
        )
    return None


def check_desired(repo: Path, commit: str) -> None:
    """Nothing that sync would refuse is proposed, also where Git's settings changed bytes on the way."""
    held = read_desired(repo, commit).held
    if held:
        raise GitopsError(problem for _, problem in held)


def push_branch(
    repo: Path,
    branch: str,
    commit: str,
    report: Callable[[str], None],
    mend: str,
    instead_of: str | None = None,
) -> str | None:
    """Push commit as the remote's branch; gives the forge's address for a pull request, if it says one.

    instead_of: the commit that the remote's branch must still hold ("": there must be none), and which goes; None: the
    push only adds to what is there. Raises GitopsError with mend where the remote does not take it.
    """
    report(f"pushing {branch} to {REMOTE}")
    ref = f"refs/heads/{branch}"
    lease = () if instead_of is None else (f"--force-with-lease={ref}:{instead_of}",)
    pushed = ask_git(repo, "push", *lease, REMOTE, f"{commit}:{ref}")
    if pushed.status != 0:
        words = " ".join(pushed.errors.split())
        raise GitopsError.because(f"{REMOTE} did not take the branch {branch}: {words}", mend)
    found = _REVIEW_URL.search(pushed.errors)
    return hide_credentials(found.group(1)) if found else None
