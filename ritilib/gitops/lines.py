"""Files that two changes have in common: lines changed apart are put together, others are said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.combine import Collision
from ritilib.gitops.command import ask_git
from ritilib.gitops.objects import read_blobs
from ritilib.gitops.repository import BASE, REMOTE, TRACKING, has_ref
from ritilib.gitops.trees import Entry, write_blobs

_CONFLICTS = 127  # `git merge-file` gives the number of conflicts, this at the most, and more where it failed

_MEND = "make it as it shall be, on the branch"


def merge_collisions(repo: Path, collisions: Iterable[Collision], branch: str) -> dict[str, Entry]:
    """path → entry of each file with both changes in it; branch is how the proposal is called.

    Raises GitopsError naming every file of which both changed the same lines, or that one changed and the other
    removed.
    """
    merged: dict[str, bytes] = {}
    modes: dict[str, str] = {}
    problems = []
    for one in collisions:
        if one.before is None or one.main is None or one.branch is None:
            problems.append(Problem(one.path, 0, 0, _say_removed(one, branch), _MEND))
            continue
        contents = read_blobs(repo, (one.before[1], one.main[1], one.branch[1]))
        before, main, wanted = (contents[entry[1]] for entry in (one.before, one.main, one.branch))
        text = _merge_lines(repo, before, main, wanted)
        if text is None or one.main[0] != one.branch[0]:
            line = find_meeting(before, main, wanted)
            what = f"{BASE} and {branch} changed the same lines"
            problems.append(Problem(one.path, line, 1 if line else 0, what, _MEND))
        else:
            merged[one.path], modes[one.path] = text, one.branch[0]
    if problems:
        raise GitopsError([*problems, say_steps(repo, branch)])
    return {path: (modes[path], blob) for path, (_, blob) in write_blobs(repo, merged).items()}


def say_steps(repo: Path, branch: str) -> Problem:
    """How a person puts the two changes together where it cannot be done for them."""
    main = f"{REMOTE}/{BASE}" if has_ref(repo, TRACKING) else BASE
    steps = (
        "git stash --include-untracked",
        f"git switch {branch}",
        f"git merge --no-commit {main}",
        "mend these files under fleet/ (what else is in conflict may stay so)",
        "git add --all",
        "git commit --no-edit",
        f"riti propose --update --branch {branch}",
    )
    return Problem("", 0, 0, f"{branch} and {BASE} do not fit together", "; ".join(steps))


def find_meeting(before: bytes, main: bytes, wanted: bytes) -> int:
    """The line of wanted (from 1) where it and main first changed the same lines of before; 0 where nowhere."""
    theirs = [(start, end) for start, end, _ in _list_hunks(before, main)]
    for start, end, line in _list_hunks(before, wanted):
        if any(start <= last and first <= end for first, last in theirs):
            return line
    return 0


def _list_hunks(before: bytes, after: bytes) -> Iterator[tuple[int, int, int]]:
    """(first line of before, line behind the last one, line of after from 1) of each change."""
    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    for kind, start, end, line, _ in matcher.get_opcodes():
        if kind != "equal":
            yield start, end, line + 1


def _merge_lines(repo: Path, before: bytes, main: bytes, wanted: bytes) -> bytes | None:
    """The file with both changes; None where they meet."""
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        places = [Path(folder) / name for name in ("main", "before", "wanted")]
        for place, content in zip(places, (main, before, wanted), strict=True):
            place.write_bytes(content)
        merged = ask_git(repo, "merge-file", "--stdout", *map(str, places))
    if merged.status > _CONFLICTS:
        return None  # a file that is no text
    return merged.output.encode("utf-8", "surrogateescape") if merged.status == 0 else None


def _say_removed(one: Collision, branch: str) -> str:
    if one.before is None:
        return f"{BASE} and {branch} both added it, and not the same"
    gone, changed = (BASE, branch) if one.main is None else (branch, BASE)
    return f"{gone} removed it, and {changed} changed it"
