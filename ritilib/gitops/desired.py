"""What one commit says must exist: every unit with its files, proven against that commit's own manifests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.fleet_file import FleetFile, Rollout
from ritilib.fleet.source import build_model, parse_source
from ritilib.gitops.objects import read_files, read_texts
from ritilib.gitops.repository import check_repository, find_commit, find_root
from ritilib.render.manifest import (
    FLEET_FOLDER,
    Manifest,
    ManifestBox,
    compute_tree_id,
    group_inputs,
    name_manifest,
    read_manifest,
)
from ritilib.render.upkeep import Windows

_FLEET = "fleet/fleet.yaml"
_LIGHTHOUSE = "lighthouse-"
_ROLLOUT = Rollout()  # where nobody says another
_SURROGATE = re.compile("[\ud800-\udfff]")  # what read_texts makes of a byte that is not UTF-8
_RENDER = "run `riti render` and propose the result"


@dataclass(frozen=True)
class Unit:
    """One thing to run: key "acme/montevideo" (a PBX and its box) or "lighthouse/one"; files: path → text.

    canary: it is among the first of every rollout; windows: when it may be replaced although it has calls.
    """

    key: str
    kind: Literal["pbx", "lighthouse"]
    files: Mapping[str, str]
    canary: bool = False
    windows: Windows | None = None


@dataclass(frozen=True)
class Desired:
    """A commit as sync needs it; units are sorted by key.

    held names the companies ("_fleet" for the lighthouses) whose manifests are stale, with the reason: their
    units are not in units, and nothing of theirs may be changed, let alone deleted. removals are the companies and
    units that may go although they are over the limit ("_fleet" held: none), after removal_grace_min minutes.
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


def read_desired(repo: Path, rev: str) -> Desired:
    """Read rev (a commit, branch or tag) of the repository at repo; the work tree is not looked at.

    Raises GitopsError with all problems: no such commit, a shallow or foreign repository, a fleet id that is
    not the root commit's, a manifest missing, truncated or in another form, a listed file that is missing or
    different, a file that no manifest lists, a box without rendered files or the reverse.
    """
    check_repository(repo)
    commit = find_commit(repo, rev)
    root, root_id = find_root(repo, commit)
    files = read_files(repo, commit, "fleet")
    fleet = _read_fleet_file(files, root, root_id)
    units, held = check_tree(files, read_texts(repo, commit, "rendered"), fleet)
    # as `_fleet`'s manifest says them too, or check_tree had refused it: what nobody rendered approves nothing
    removals = () if FLEET_FOLDER in dict(held) else tuple(sorted(set(fleet.removals)))
    return Desired(
        fleet.name, str(fleet.id), root, commit, units, held, removals, fleet.removal_grace_min, fleet.rollout
    )


def read_fleet(repo: Path, rev: str) -> FleetFile:
    """What fleet.yaml of rev says, where it is that of the repository's root commit; raises as read_desired."""
    check_repository(repo)
    commit = find_commit(repo, rev)
    root, root_id = find_root(repo, commit)
    return _read_fleet_file(read_files(repo, commit, _FLEET), root, root_id)


def read_newer(repo: Path, rev: str, desired: Desired) -> Desired:
    """What rev says by now: desired itself while rev is still that commit. Raises as read_desired does."""
    return desired if find_commit(repo, rev) == desired.commit else read_desired(repo, rev)


def check_tree(
    files: Mapping[str, bytes], rendered: Mapping[str, str], fleet: FleetFile
) -> tuple[tuple[Unit, ...], tuple[tuple[str, Problem], ...]]:
    """(units, held) of what a commit holds: files under fleet/ (path → content), rendered/ (path → text).

    fleet is what fleet.yaml says. Raises GitopsError as read_desired does.
    """
    inputs = group_inputs(files)
    folders = _group_rendered(rendered)
    strays = folders.pop("", [])
    problems = [Problem(path, 0, 0, "is listed by no manifest", "remove it") for path in strays]
    units: list[Unit] = []
    held: list[tuple[str, Problem]] = []
    for company in sorted(inputs.keys() | folders.keys()):
        path = name_manifest(company)
        if company not in inputs:
            what = f"belongs to no company: fleet/companies/{company}.yaml is not there"
            problems.append(
                Problem(f"rendered/{company}", 0, 0, what, f"{_RENDER}, or bring the company back")
            )
            continue
        if path not in rendered:
            asker = _FLEET if company == FLEET_FOLDER else f"fleet/companies/{company}.yaml"
            what = f"is missing, and {asker} asks for it"
            problems.append(Problem(path, 0, 0, what, _RENDER))
            continue
        try:
            manifest = read_manifest(rendered[path], path)
        except GitopsError as error:
            problems += error.problems
            continue
        found, texts = _check_files(company, manifest, rendered, folders[company])
        problems += found
        tree_id = compute_tree_id(inputs[company])
        if manifest.inputs != tree_id:
            what = f"is stale: rendered from {manifest.inputs[:12]}, while this commit holds {tree_id[:12]}"
            mend = f"{_RENDER}; until then nothing of `{company}` is changed"
            held.append((company, Problem(path, 0, 0, what, mend)))
            continue
        problems += _check_names(path, manifest, fleet)
        problems += _check_removals(path, manifest, fleet if company == FLEET_FOLDER else None)
        problems += _check_boxes(path, manifest, _find_asked(company, inputs[company], fleet))
        units += [_make_unit(company, box, manifest.boxes[box], texts[box]) for box in sorted(manifest.boxes)]
    if problems:
        raise GitopsError(sorted(problems))
    return tuple(sorted(units, key=lambda unit: unit.key)), tuple(held)


def _read_fleet_file(files: Mapping[str, bytes], root: str, root_id: str) -> FleetFile:
    """fleet.yaml; GitopsError where it cannot be read or its id is not that of the root commit."""
    if _FLEET not in files:
        mend = f"bring it back from the history: git log -- {_FLEET}"
        raise GitopsError([Problem(_FLEET, 0, 0, "is missing", mend)])
    source = parse_source(_FLEET, files[_FLEET])
    if isinstance(source, Problem):
        raise GitopsError([source])
    said, problems = build_model(source, FleetFile)
    if said is None:
        raise GitopsError(problems)
    if str(said.id) != root_id.lower():
        what = f"`id` ({said.id}) is not this repository's fleet: its root commit {root[:12]} says {root_id}"
        mend = "give `id` back; a new fleet needs a repository of its own (`riti init`)"
        raise GitopsError([source.problem(("id",), what, mend)])
    return said


def _group_rendered(rendered: Iterable[str]) -> dict[str, list[str]]:
    """folder of rendered/ → its files' paths; "" holds those that stand in rendered/ itself."""
    groups: dict[str, list[str]] = {}
    for path in rendered:
        company, _, rest = path.removeprefix("rendered/").partition("/")
        groups.setdefault(company if rest else "", []).append(path)
    return groups


def _check_files(
    company: str, manifest: Manifest, rendered: Mapping[str, str], present: list[str]
) -> tuple[list[Problem], dict[str, dict[str, str]]]:
    """Problems of the listed against the present files, and box → path → text of those that are right."""
    problems: list[Problem] = []
    texts: dict[str, dict[str, str]] = {box: {} for box in manifest.boxes}
    listed = {name_manifest(company)}
    for box, entry in manifest.boxes.items():
        for inner, digest in entry.files.items():
            path = f"rendered/{company}/{box}/{inner}"
            listed.add(path)
            text = rendered.get(path)
            what = _judge_text(text, digest)
            if text is None or what:
                problems.append(Problem(path, 0, 0, what, _RENDER))
            else:
                texts[box][inner] = text
    for path in present:
        if path not in listed:
            problems.append(Problem(path, 0, 0, "is listed by no manifest", f"remove it, or {_RENDER}"))
    return problems, texts


def _judge_text(text: str | None, digest: str) -> str:
    """What is wrong with a listed file; "" where nothing is."""
    if text is None:
        return "is missing, and the manifest lists it"
    if hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() != digest:
        return "is not the file that the manifest lists (its hash differs)"
    return "is not UTF-8 text" if not text.isascii() and _SURROGATE.search(text) else ""


def _check_names(path: str, manifest: Manifest, fleet: FleetFile) -> Iterator[Problem]:
    if (manifest.fleet, manifest.fleet_id) != (fleet.name, fleet.id):
        other = f"`{manifest.fleet}` ({manifest.fleet_id})"
        what = f"belongs to the fleet {other}, not to `{fleet.name}` ({fleet.id})"
        yield Problem(path, 0, 0, what, _RENDER)


def _check_removals(path: str, manifest: Manifest, fleet: FleetFile | None) -> Iterator[Problem]:
    """A removal approved by hand in a manifest, which no reviewer of fleet.yaml saw; fleet: None for a company's."""
    if manifest.removals != (sorted(set(fleet.removals)) if fleet else []):
        yield Problem(path, 0, 0, f"approves other `removals` than {_FLEET}", _RENDER)


def _find_asked(company: str, inputs: Mapping[str, bytes], fleet: FleetFile) -> dict[str, str]:
    """box (or lighthouse's folder) → the file that asks for it."""
    if company == FLEET_FOLDER:
        return {f"{_LIGHTHOUSE}{lighthouse.name}": _FLEET for lighthouse in fleet.lighthouses}
    folder = f"fleet/boxes/{company}/"
    return {
        path.removeprefix(folder).removesuffix(".yaml"): path for path in inputs if path.startswith(folder)
    }


def _check_boxes(path: str, manifest: Manifest, asked: Mapping[str, str]) -> Iterator[Problem]:
    """A manifest emptied while its boxes still stand in fleet/ must not read as a wish to delete them."""
    for box in sorted(asked.keys() - manifest.boxes.keys()):
        yield Problem(path, 0, 0, f"does not list `{box}`, and {asked[box]} asks for it", _RENDER)
    for box in sorted(manifest.boxes.keys() - asked.keys()):
        yield Problem(path, 0, 0, f"lists `{box}`, and nothing under fleet/ asks for it", _RENDER)


def _make_unit(company: str, box: str, entry: ManifestBox, texts: Mapping[str, str]) -> Unit:
    if company == FLEET_FOLDER:
        return Unit(f"lighthouse/{box.removeprefix(_LIGHTHOUSE)}", "lighthouse", texts)
    return Unit(f"{company}/{box}", "pbx", texts, entry.canary, entry.windows)
