"""What one commit says must exist: every unit with its files, proven against that commit's own manifests."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.fleet_file import FleetFile, OverlayAuthority, Rollout
from ritilib.gitops.company import FLEET_FILE, RENDER, Part, Unit, check_company, find_asker, parse_fleet_file
from ritilib.gitops.objects import list_blobs, list_entries, read_blobs, read_texts, refuse_odd
from ritilib.gitops.repository import check_repository, find_commit, find_root
from ritilib.render.manifest import (
    FLEET_FOLDER,
    find_scope,
    group_scoped,
    is_hidden,
    join_tree_id,
    name_manifest,
)
from ritilib.render.rules import SyncRules

__all__ = ["Desired", "Reader", "Unit", "read_desired", "read_newer"]

BOXES_AT_ONCE = 60  # whose rendered files, 80 KB each, are in memory together
_BOXES, _CLAIMS = "fleet/boxes/", "fleet/claims/"
_CLAIM = f"{_CLAIMS}any"  # whose a claim is, its content alone says
_FOLDER = "040000"
_ROLLOUT = Rollout()  # where nobody says another
_AUTHORITY = OverlayAuthority()


@dataclass(frozen=True)
class Desired:
    """A commit as sync needs it; units are sorted by key.

    held names the companies ("_fleet" for the lighthouses) whose manifests are stale, with the reason: their
    units are not in units, and nothing of theirs may be changed, let alone deleted. removals are the companies and
    units that may go although they are over the limit ("_fleet" held: none), after removal_grace_min minutes. sync is
    what is left alone of a company, and of the fleet (""): it holds for units that are in no manifest any more.
    authority: which one is to sign the overlay's certificates; the first while "_fleet" is held: it takes nothing back.
    """

    fleet: str
    fleet_id: str
    root_commit: str
    commit: str
    units: tuple[Unit, ...]
    held: tuple[tuple[str, Problem], ...]
    removals: tuple[str, ...] = ()
    removal_grace_min: int = 10
    rollout: Rollout = _ROLLOUT
    sync: Mapping[str, SyncRules] = field(default_factory=dict)
    authority: OverlayAuthority = _AUTHORITY


def read_desired(repo: Path, rev: str) -> Desired:
    """Read rev (a commit, branch or tag) of the repository at repo; the work tree is not looked at.

    Raises GitopsError with all problems: no such commit, a shallow or foreign repository, a fleet id that is
    not the root commit's, a manifest missing, truncated or in another form, a listed file that is missing or
    different, a file that no manifest lists, a box without rendered files or the reverse.
    """
    return Reader().read(repo, rev)


def read_fleet(repo: Path, rev: str) -> FleetFile:
    """What fleet.yaml of rev says, where it is that of the repository's root commit; raises as read_desired."""
    check_repository(repo)
    commit = find_commit(repo, rev)
    root, root_id = find_root(repo, commit)
    return _read_fleet_file(repo, list_blobs(repo, commit, FLEET_FILE), root, root_id)


def read_newer(repo: Path, rev: str, desired: Desired) -> Desired:
    """What rev says by now: desired itself while rev is still that commit. Raises as read_desired does."""
    return desired if find_commit(repo, rev) == desired.commit else read_desired(repo, rev)


@dataclass(frozen=True)
class _Found:
    """A company's part, and what it was read from: the ids of its folder in rendered/ and of its inputs' tree."""

    rendered: str
    inputs: str
    part: Part


class Reader:
    """Reads one commit after another, and of each only what the one before had not.

    A company whose files have the ids that they had is what it was found to be; Git's ids are hashes of the content.
    """

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}
        self._scopes: dict[bytes, str | None] = {}  # blob id of a claim → whose it is

    def read(self, repo: Path, rev: str) -> Desired:
        """As read_desired."""
        check_repository(repo)
        commit = find_commit(repo, rev)
        root, root_id = find_root(repo, commit)
        blobs = list_blobs(repo, commit, "fleet")
        fleet = _read_fleet_file(repo, blobs, root, root_id)
        inputs = self._group(repo, blobs)
        folders, problems = _list_folders(repo, commit)
        found: dict[str, _Found] = {}
        stale: dict[str, tuple[str, str]] = {}
        for company in sorted(inputs.keys() | folders.keys()):
            if problem := _refuse_folder(company, inputs, folders):
                problems.append(problem)
                continue
            ids = folders[company], join_tree_id(inputs[company])
            known = self._found.get(company)
            if known and (known.rendered, known.inputs) == ids:
                found[company] = known
            else:
                stale[company] = ids
        for companies in _share_out(stale, inputs):
            texts = read_texts(repo, commit, *(f"rendered/{company}" for company in companies))
            for company, rendered in _group_rendered(texts, companies).items():
                tree, tree_id = stale[company]
                part, wrong = check_company(company, inputs[company], tree_id, rendered, fleet)
                problems += wrong
                if part:
                    found[company] = _Found(tree, tree_id, part)
        if problems:
            raise GitopsError(sorted(problems))
        self._found = found
        return _join(fleet, root, commit, {company: one.part for company, one in found.items()})

    def _group(self, repo: Path, blobs: Mapping[str, str]) -> dict[str, dict[str, bytes]]:
        """company → path → blob id of its manifest's inputs; of the files themselves only new claims are read."""
        ids = {path: bytes.fromhex(blob) for path, blob in blobs.items()}
        claims = {path for path in blobs if path.startswith(_CLAIMS)}
        scopes = {ids[path]: self._scopes.get(ids[path]) for path in claims}
        fresh = {blobs[path]: path for path in claims if scopes[ids[path]] is None}
        for blob, content in (read_blobs(repo, fresh) if fresh else {}).items():
            scopes[bytes.fromhex(blob)] = sys.intern(find_scope(_CLAIM, content) or "")
        self._scopes = scopes

        def find(path: str) -> str | None:
            if path in claims:
                return None if is_hidden(path) else scopes[ids[path]]
            return find_scope(path, b"")

        return group_scoped(ids, find)


def _join(fleet: FleetFile, root: str, commit: str, parts: Mapping[str, Part]) -> Desired:
    units = sorted((unit for part in parts.values() for unit in part.units), key=lambda unit: unit.key)
    held = tuple((company, parts[company].held) for company in sorted(parts))
    stale = tuple((company, problem) for company, problem in held if problem)
    # as `_fleet`'s manifest says them too, or check_company had refused it: what nobody rendered approves nothing
    removals = () if FLEET_FOLDER in dict(stale) else tuple(sorted(set(fleet.removals)))
    return Desired(
        fleet.name,
        str(fleet.id),
        root,
        commit,
        tuple(units),
        stale,
        removals,
        fleet.removal_grace_min,
        fleet.rollout,
        {
            "" if company == FLEET_FOLDER else company: parts[company].sync
            for company, problem in held
            if not problem
        },
        _AUTHORITY if FLEET_FOLDER in dict(stale) else fleet.overlay_authority,
    )


def _read_fleet_file(repo: Path, blobs: Mapping[str, str], root: str, root_id: str) -> FleetFile:
    """fleet.yaml; GitopsError where it cannot be read or its id is not that of the root commit."""
    if FLEET_FILE not in blobs:
        mend = f"bring it back from the history: git log -- {FLEET_FILE}"
        raise GitopsError([Problem(FLEET_FILE, 0, 0, "is missing", mend)])
    [content] = read_blobs(repo, [blobs[FLEET_FILE]]).values()
    source, said = parse_fleet_file(content)
    if str(said.id) != root_id.lower():
        what = f"`id` ({said.id}) is not this repository's fleet: its root commit {root[:12]} says {root_id}"
        mend = "give `id` back; a new fleet needs a repository of its own (`riti init`)"
        raise GitopsError([source.problem(("id",), what, mend)])
    return said


def _list_folders(repo: Path, commit: str) -> tuple[dict[str, str], list[Problem]]:
    """name → tree id of the folders in rendered/, and a problem for everything else there."""
    folders: dict[str, str] = {}
    problems: list[Problem] = []
    for name, (mode, tree) in list_entries(repo, commit, "rendered").items():
        path = f"rendered/{name}"
        if mode == _FOLDER:
            folders[name] = tree
        else:
            stray = Problem(path, 0, 0, "is listed by no manifest", "remove it")
            problems.append(refuse_odd(path, mode) or stray)
    return folders, problems


def _refuse_folder(
    company: str, inputs: Mapping[str, object], folders: Mapping[str, object]
) -> Problem | None:
    """What is wrong where a company has no inputs, or nothing rendered."""
    if company not in inputs:
        what = f"belongs to no company: fleet/companies/{company}.yaml is not there"
        return Problem(f"rendered/{company}", 0, 0, what, f"{RENDER}, or bring the company back")
    if company not in folders:
        what = f"is missing, and {find_asker(company)} asks for it"
        return Problem(name_manifest(company), 0, 0, what, RENDER)
    return None


def _share_out(
    companies: Mapping[str, object], inputs: Mapping[str, Mapping[str, object]]
) -> Iterator[list[str]]:
    """The companies, so many together that BOXES_AT_ONCE is hardly passed."""
    group: list[str] = []
    boxes = 0
    for company in companies:
        group.append(company)
        boxes += sum(path.startswith(_BOXES) for path in inputs[company])
        if boxes >= BOXES_AT_ONCE:
            yield group
            group, boxes = [], 0
    if group:
        yield group


def _group_rendered(texts: Mapping[str, str], companies: list[str]) -> dict[str, dict[str, str]]:
    """company → path → text."""
    groups: dict[str, dict[str, str]] = {company: {} for company in companies}
    for path, text in texts.items():
        groups[path.split("/", 2)[1]][path] = text
    return groups
