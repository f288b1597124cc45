"""Puts a proposal on the main of today: its change of the fleet is taken over, and everything rendered anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import FleetError, GitopsError
from ritilib.fleet.claims import OVERLAY_FOLDER
from ritilib.fleet.load import load_fleet
from ritilib.gitops.branches import Branch, check_lease, find_branch, move_branch
from ritilib.gitops.combine import carry_claims, combine
from ritilib.gitops.command import run_git
from ritilib.gitops.diff import CLAIMS, RENDERED, compare, is_ours
from ritilib.gitops.lines import merge_collisions, say_steps
from ritilib.gitops.objects import read_files, read_texts
from ritilib.gitops.propose import check_desired, push_branch
from ritilib.gitops.repository import (
    BASE,
    check_identity,
    check_repository,
    fetch_base,
    find_base,
    has_remote,
    write_commit,
)
from ritilib.gitops.trees import Entry, change_tree, list_changes, write_blobs
from ritilib.render.manifest import is_hidden
from ritilib.render.tree import render_tree


@dataclass(frozen=True)
class Updated:
    """A proposal's branch: one commit on top of main (base), instead of another commit (replaced).

    addresses: owner ("acme/salto box") → the overlay address that it has now, where main gave the proposed one away.
    renames: company → the new name under which the other side's change was put. url as in Proposal.
    """

    branch: str
    commit: str
    base: str
    replaced: str
    addresses: Mapping[str, str]
    renames: Mapping[str, str]
    url: str | None


def update_proposal(
    repo: Path,
    branch: str | None,
    message: str | None,
    push: bool,
    riti: str,
    report: Callable[[str], None],
) -> Updated:
    """Make the proposal `branch` one commit on the remote's main (else the local), and push it in its old one's place.

    branch None: the one whose change lies in the work tree. message None: the one that it has. What people write is
    taken over (all but rendered/ and fleet/claims/), a file that both changed in different lines included. Claims are
    main's; an address that main gave away meanwhile is replaced. riti is the version that renders. A second time
    changes nothing. The remote's branch is replaced only where it holds what was taken over. A work tree that holds
    the change goes along, with the local main; any other stays as it is.

    Raises GitopsError with all problems, and nothing changed: no such branch, both changed the same lines, the two
    changes are no fleet together, main holds the change already, somebody else pushed to the branch.
    """
    check_repository(repo, bare=False)
    check_identity(repo)
    pushes = push and has_remote(repo)
    base = fetch_base(repo, report) if pushes else find_base(repo)
    found = find_branch(repo, branch, base)
    before = run_git(repo, "merge-base", base, found.tip).strip()
    report(f"{found.name} began at {before[:12]} of {BASE}, which is at {base[:12]}")
    people, renames = _combine_people(repo, before, base, found, report)
    claims, proposed = _combine_claims(repo, before, base, found, renames)
    tree, addresses = _render(repo, change_tree(repo, base, people | claims), found.name, riti, report)
    if tree == run_git(repo, "rev-parse", f"{base}^{{tree}}").strip():
        what = f"{BASE} holds everything that {found.name} changes"
        raise GitopsError.because(what, "close its pull request; nothing is left to do")
    commit = _find_commit(repo, found, tree, base, message) or _write(
        repo, found, tree, base, before, message
    )
    check_desired(repo, commit)
    moved = {owner: addresses[owner] for owner, one in proposed.items() if addresses.get(owner, one) != one}
    for owner, address in sorted(moved.items()):
        report(f"{owner}: {address}, since {BASE} gave {proposed[owner]} away")
    url = None
    if pushes and found.pushed != commit:
        check_lease(repo, found)
        mend = "if somebody else pushed to it, look at theirs first (git fetch); then run the same again"
        url = push_branch(repo, found.name, commit, report, mend, found.pushed or "")
    followed = move_branch(repo, found, commit, base)
    report(f"{found.name} holds {commit[:12]}{', and so does the work tree' if followed else ''}")
    return Updated(found.name, commit, base, found.tip, moved, renames, url)


def _combine_people(
    repo: Path, before: str, base: str, found: Branch, report: Callable[[str], None]
) -> tuple[dict[str, Entry | None], Mapping[str, str]]:
    """What people wrote, as changes of main's tree; and the companies that were followed to their new names."""
    by_main = list_changes(repo, before, base, RENDERED, CLAIMS)
    by_branch = list_changes(repo, before, found.tip, RENDERED, CLAIMS)
    combined = combine(by_main, by_branch)
    for company, name in sorted(combined.renames.items()):
        report(f"company {company} became {name}; what the other side changed of it is put there")
    return {**combined.entries, **merge_collisions(repo, combined.collisions, found.name)}, combined.renames


def _combine_claims(
    repo: Path, before: str, base: str, found: Branch, renames: Mapping[str, str]
) -> tuple[dict[str, Entry | None], dict[str, str]]:
    """The claims as changes of main's tree; and owner → address of those that only the branch has."""
    old, main, branch = (
        {path: text for path, text in read_texts(repo, rev, CLAIMS).items() if not is_hidden(path)}
        for rev in (before, base, found.tip)
    )
    claims = carry_claims(old, main, branch, renames)
    changes = compare(main, claims)
    written = write_blobs(
        repo, {one.path: claims[one.path].encode() for one in changes if one.kind != "removed"}
    )
    gone: dict[str, Entry | None] = {one.path: None for one in changes if one.kind == "removed"}
    proposed = {path: text for path, text in branch.items() if old.get(path) != text}
    return gone | written, _list_addresses(proposed)


def _render(
    repo: Path, tree: str, name: str, riti: str, report: Callable[[str], None]
) -> tuple[str, dict[str, str]]:
    """The tree with everything rendered from its fleet; and owner → overlay address."""
    report("rendering")
    files = {
        path: content for path, content in read_files(repo, tree, "fleet").items() if not is_hidden(path)
    }
    try:
        wanted = render_tree(load_fleet(files), files, riti)
    except FleetError as error:
        raise GitopsError([*error.problems, say_steps(repo, name)]) from None
    current = {path: text for path, text in read_texts(repo, tree, RENDERED, CLAIMS).items() if is_ours(path)}
    changes = compare(current, wanted)
    written = write_blobs(
        repo, {one.path: wanted[one.path].encode() for one in changes if one.kind != "removed"}
    )
    gone: dict[str, Entry | None] = {one.path: None for one in changes if one.kind == "removed"}
    return change_tree(repo, tree, gone | written), _list_addresses(wanted)


def _list_addresses(claims: Mapping[str, str]) -> dict[str, str]:
    return {
        text.strip(): path.removeprefix(OVERLAY_FOLDER)
        for path, text in claims.items()
        if path.startswith(OVERLAY_FOLDER)
    }


def _find_commit(repo: Path, found: Branch, tree: str, base: str, message: str | None) -> str | None:
    """The commit where the branch, here or on the remote, is this very update: one that was cut short goes on."""
    for commit in filter(None, (found.tip, found.pushed)):
        lineage, words = run_git(repo, "show", "-s", "--format=%T %P%n%B", commit).split("\n", 1)
        if lineage == f"{tree} {base}" and message in (None, words.strip()):
            return commit
    return None


def _write(repo: Path, found: Branch, tree: str, base: str, before: str, message: str | None) -> str:
    """A new commit with the words and the author of the branch's first one."""
    first = run_git(repo, "rev-list", "--reverse", f"{before}..{found.tip}").split()[0]
    said = run_git(repo, "show", "-s", "--format=%an%n%ae%n%aI%n%B", first).split("\n", 3)
    author = dict(zip(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"), said, strict=False))
    return write_commit(repo, tree, (base,), message or said[3].strip(), author)
