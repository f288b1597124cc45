"""A proposal's branch: here, on the remote, and in the work tree."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import GitopsError
from ritilib.gitops.command import ask_git, run_git
from ritilib.gitops.propose import check_branch
from ritilib.gitops.repository import BASE, REMOTE, check_repository, find_commit, has_ref, is_ancestor
from ritilib.gitops.staging import stage_work_tree


@dataclass(frozen=True)
class Branch:
    """tip: the commit that counts; pushed: what the remote holds as last fetched (None: no such branch there).

    checked_out: the branch is what the work tree is on. lies_on: the commit of main on which the work tree holds the
    very change of the branch, not committed, as `riti propose` leaves it; None where it does not.
    """

    name: str
    tip: str
    pushed: str | None
    checked_out: bool
    lies_on: str | None


def find_branch(repo: Path, name: str | None, base: str) -> Branch:
    """The branch of this name, or the one whose change lies in the work tree; base is main's commit.

    Raises GitopsError where there is none or more than one, where main holds it already, and where it is checked out
    with changes that are not committed.
    """
    work = stage_work_tree(repo, "HEAD").tree
    name = check_branch(repo, name) if name else _find_lying(repo, work)
    local, pushed = (_find(repo, f"{place}/{name}") for place in ("refs/heads", f"refs/remotes/{REMOTE}"))
    tip = pushed if local and pushed and is_ancestor(repo, local, pushed) else local or pushed
    if tip is None:
        raise GitopsError.because(
            f"there is no branch `{name}`, here or on {REMOTE}", "look with: git branch --all"
        )
    if is_ancestor(repo, tip, base):
        raise GitopsError.because(f"{BASE} holds {name} already", "nothing is left to do: riti pull")
    place = run_git(repo, "for-each-ref", "--format=%(worktreepath)", f"refs/heads/{name}").rstrip("\n")
    head = find_commit(repo, "HEAD")
    if place and (Path(place).resolve() != repo.resolve() or _is_dirty(repo) or head != tip):
        what = f"{name} is checked out in {place}, and not just as it was committed"
        raise GitopsError.because(
            what, f"commit what you changed there, or: git -C {place} switch {BASE}; then again"
        )
    on_main = run_git(repo, "rev-parse", "--abbrev-ref", "HEAD").strip() == BASE
    lies = on_main and work == run_git(repo, "rev-parse", f"{tip}^{{tree}}").strip()
    return Branch(name, tip, pushed, bool(place), head if lies else None)


def check_lease(repo: Path, branch: Branch) -> None:
    """GitopsError where the remote's branch holds commits that would be lost."""
    if branch.pushed and not is_ancestor(repo, branch.pushed, branch.tip):
        who = run_git(repo, "show", "-s", "--format=%an", branch.pushed).strip()
        what = f"{who} pushed {branch.pushed[:12]} to {branch.name}, which your branch does not have"
        mend = f"take theirs (git branch --force {branch.name} {REMOTE}/{branch.name}), or propose yours as another"
        raise GitopsError.because(what, mend)


def move_branch(repo: Path, branch: Branch, commit: str, base: str) -> bool:
    """Point the local branch at commit (on top of base), and let the work tree follow where it held the change.

    Gives whether the work tree is now what commit holds: where files of its own stand in the way, it stays as it was.
    """
    if branch.checked_out:
        run_git(repo, "reset", "--quiet", "--keep", commit)
        return True
    run_git(repo, "update-ref", "-m", "riti propose --update", f"refs/heads/{branch.name}", commit)
    if branch.lies_on is None or not is_ancestor(repo, branch.lies_on, base):
        return False
    return _move_work_tree(repo, branch.tip, commit, branch.lies_on, base)


def _move_work_tree(repo: Path, tip: str, commit: str, older: str, base: str) -> bool:
    """From tip's files, not committed on older, to commit's files, not committed on base."""
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        own = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        run_git(repo, "read-tree", tip, environment=own)
        ask_git(repo, "update-index", "-q", "--refresh", environment=own)
        if ask_git(repo, "read-tree", "-m", "-u", tip, commit, environment=own).status != 0:
            return False
    run_git(repo, "update-ref", "-m", "riti propose --update", f"refs/heads/{BASE}", base, older)
    run_git(repo, "reset", "--quiet", "--mixed", base)
    return True


def _find(repo: Path, ref: str) -> str | None:
    return find_commit(repo, ref) if has_ref(repo, ref) else None


def _find_lying(repo: Path, work: str) -> str:
    """The name of the one branch whose tree this is."""
    check_repository(repo, bare=False)
    listed = run_git(
        repo, "for-each-ref", "--format=%(tree) %(refname)", "refs/heads", f"refs/remotes/{REMOTE}"
    )
    names = set()
    for line in listed.splitlines():
        tree, ref = line.split(" ", 1)
        name = ref.removeprefix("refs/heads/").removeprefix(f"refs/remotes/{REMOTE}/")
        if tree == work and name not in (BASE, "HEAD"):
            names.add(name)
    if len(names) != 1:
        found = f"is that of {', '.join(sorted(names))}" if names else "is on no branch"
        mend = "name the proposal: riti propose --update --branch NAME (git branch --all lists them)"
        raise GitopsError.because(f"the change that lies in the work tree {found}", mend)
    return names.pop()


def _is_dirty(repo: Path) -> bool:
    return bool(run_git(repo, "status", "--porcelain", "--untracked-files=no").strip())
