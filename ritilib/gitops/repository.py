"""What is asked of any GitOps repository: is it one, whose is it, which commit is meant, who commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ritilib.errors import GitopsError
from ritilib.gitops.command import ask_git, run_git

BASE = "main"  # the branch that is deployed
REMOTE = "origin"
TRAILER = "RITI-Fleet"  # in the root commit: the fleet's id, which no later commit can change
TRACKING = f"refs/remotes/{REMOTE}/{BASE}"
_CLONE = "name the top folder of a GitOps repository: a clone of yours, or what `riti init` made"


def check_repository(repo: Path, bare: bool = True) -> None:
    """GitopsError unless repo is the top of a Git repository; without bare, one that has a work tree."""
    if not repo.is_dir():
        raise GitopsError.because(f"{repo} is no folder", _CLONE)
    asked = ask_git(repo, "rev-parse", "--is-bare-repository", "--is-inside-work-tree")
    if asked.status != 0:
        if "dubious ownership" in asked.errors:
            mend = f"if you trust it: git config --global --add safe.directory {repo.resolve()}"
            raise GitopsError.because(f"{repo} belongs to another user of this machine", mend)
        raise GitopsError.because(f"{repo} is no Git repository", _CLONE)
    is_bare, has_tree = (word == "true" for word in asked.output.split())
    if has_tree:
        top = run_git(repo, "rev-parse", "--show-toplevel").rstrip("\n")
        if Path(top).resolve() != repo.resolve():
            raise GitopsError.because(f"{repo} is a folder inside the repository {top}", _CLONE)
    elif not is_bare:
        raise GitopsError.because(f"{repo} is the inside of a Git repository", _CLONE)
    elif not bare:
        raise GitopsError.because(f"{repo} has no work tree (it is bare)", f"clone it: git clone {repo} DIR")


def find_commit(repo: Path, rev: str) -> str:
    """The full id of the commit that rev names; GitopsError where it names none."""
    asked = ask_git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if asked.status != 0:
        raise GitopsError.because(
            f"`{rev}` is no commit of {repo}", "name a commit, a branch or a tag that it has"
        )
    return asked.output.strip()


def has_ref(repo: Path, ref: str) -> bool:
    """Whether the full name of a reference ("refs/heads/main") exists."""
    return ask_git(repo, "rev-parse", "--verify", "--quiet", ref).status == 0


def has_remote(repo: Path) -> bool:
    return REMOTE in run_git(repo, "remote").split()


def is_ancestor(repo: Path, older: str, newer: str) -> bool:
    """Whether newer holds all of older's history (or is older)."""
    return ask_git(repo, "merge-base", "--is-ancestor", older, newer).status == 0


def find_root(repo: Path, commit: str) -> tuple[str, str]:
    """(id of the root commit, the fleet's id in its trailer) of the history that ends in commit.

    Raises GitopsError for a shallow clone (its oldest commit is not the root), for a history with several
    roots and for a root without the trailer.
    """
    if run_git(repo, "rev-parse", "--is-shallow-repository").strip() == "true":
        what = f"{repo} is a shallow clone, so its root commit cannot be seen"
        raise GitopsError.because(what, f"git -C {repo} fetch --unshallow")
    roots = run_git(repo, "rev-list", "--max-parents=0", commit).split()
    if len(roots) != 1:
        what = f"{commit[:12]} has {len(roots)} root commits: another repository was merged into it"
        raise GitopsError.because(what, "go back to a history with the one root that `riti init` made")
    ids = run_git(repo, "show", "-s", f"--format=%(trailers:key={TRAILER},valueonly)", roots[0]).split()
    if len(ids) != 1:
        what = f"{repo} is no fleet's: its root commit {roots[0][:12]} has no `{TRAILER}:` line"
        raise GitopsError.because(what, _CLONE)
    return roots[0], ids[0]


def check_identity(folder: Path) -> None:
    """GitopsError unless Git knows who commits here; its own guess from the machine's name does not count."""
    for role in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        if ask_git(folder, "-c", "user.useConfigOnly=true", "var", role).status != 0:
            mend = 'git config --global user.name "Your Name"; git config --global user.email you@example.org'
            raise GitopsError.because("Git does not know who you are", mend)


def write_commit(
    repo: Path,
    tree: str,
    parents: tuple[str, ...],
    message: str,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The id of a new commit of tree, on no branch yet; signed where the user's Git signs commits."""
    signs = ask_git(repo, "config", "--type=bool", "--get", "commit.gpgSign").output.strip() == "true"
    lineage = (word for parent in parents for word in ("-p", parent))
    words = ("commit-tree", *(("-S",) if signs else ()), *lineage, "-m", message, tree)
    return run_git(repo, *words, environment=environment).strip()


def find_base(repo: Path) -> str:
    """The tip of the remote's main as last fetched, else of the local one; see fetch_base."""
    return find_commit(repo, TRACKING if has_ref(repo, TRACKING) else f"refs/heads/{BASE}")


def fetch_base(repo: Path, report: Callable[[str], None]) -> str:
    """Fetch the remote's branches and give the commit at the tip of its main branch.

    A fetch that fails raises GitopsError: nothing is known then, and the last fetched state is no answer.
    """
    if not has_remote(repo):
        raise GitopsError.because(
            f"{repo} has no remote `{REMOTE}`", f"git -C {repo} remote add {REMOTE} URL"
        )
    report(f"fetching from {REMOTE}")
    mend = "look at the network and at your access to the forge, then run the same again"
    run_git(repo, "fetch", "--quiet", "--prune", "--no-tags", REMOTE, mend=mend)
    if not has_ref(repo, TRACKING):
        raise GitopsError.because(
            f"the remote {REMOTE} has no branch {BASE}", "name the repository that `riti init` made"
        )
    return find_commit(repo, TRACKING)
