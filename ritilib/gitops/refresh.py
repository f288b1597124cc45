"""From the work tree's fleet/ to its verdict and its rendered/, as little of it anew as can be.

What is believed of a memory (memory.py), and why:

- A file whose stamp is the remembered one has the content that it had; one with another stamp is read, and unchanged
  where its blob id is the same.
- A company none of whose files changed, under an unchanged fleet.yaml and unchanged claims of nobody's, is as right as
  it was: every rule looks at one company, at values that must be unique in the fleet, or at sums over it
  (rules.judge), and these are remembered and compared.
- Its rendered folder, all of whose files have the remembered stamps, holds what was compared or written then.

Everything else is judged, rendered and compared as without a memory, by the same code.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.claims import CLAIMS_FOLDER, OVERLAY_FOLDER
from ritilib.fleet.load import Loaded, complete_draft, read_draft, read_file
from ritilib.fleet.model import Company
from ritilib.fleet.placement import count_placed
from ritilib.fleet.rules import Draft, list_unique
from ritilib.gitops.bring import Brought, bring_folder, look_folder, settle_folder
from ritilib.gitops.diff import RENDERED, Change, compare, write_changes
from ritilib.gitops.memory import KnownFile, Memory, Part, Remembered, hash_blob, write_stamp
from ritilib.gitops.stamps import is_settled, read_stamp
from ritilib.gitops.workers import hold_collection, map_forked, share_forked, slow_collection
from ritilib.gitops.worktree import find_fleet_files, read_contents
from ritilib.render.manifest import FLEET_FOLDER, find_scope
from ritilib.render.tree import list_inputs, render_folder

_COMPANIES = "fleet/companies/"
# below these, a process costs more than it saves
_FILES_PER_PROCESS = 100
_FOLDERS_PER_PROCESS = 4


@dataclass(frozen=True)
class Verdict:
    """How much a fleet without problems holds, and its warnings, sorted."""

    warnings: tuple[Problem, ...]
    companies: int
    boxes: int
    extensions: int


@dataclass(frozen=True)
class Survey:
    """The fleet's files now; read: the content of those that had to be read; moved: scopes of what changed."""

    files: Mapping[str, KnownFile]
    read: Mapping[str, bytes]
    companies: frozenset[str]
    moved: frozenset[str | None]


@dataclass(frozen=True)
class Judged:
    """The companies in again, judged: the fleet that they make, and their files (path → content)."""

    again: frozenset[str]
    loaded: Loaded
    files: Mapping[str, bytes]
    parts: Mapping[str, Part]


@slow_collection()
def validate_work_tree(repo: Path, memory: Memory) -> Verdict:
    """Judge fleet/ of the work tree at repo.

    Raises FleetError with all problems, and GitopsError for what cannot be read.
    """
    with hold_collection():
        known = memory.recall()
        survey = survey_fleet(repo, known)
    again = find_stale(survey, known, {})
    judged = judge_parts(repo, survey, known, again)
    parts = _join_parts(survey, known, judged)
    _keep(memory, known, Remembered(survey.files, parts))
    return _sum_up(survey, parts, judged.loaded.warnings)


@slow_collection()
def render_work_tree(repo: Path, riti: str, memory: Memory, write: bool) -> tuple[Change, ...]:
    """What differs in rendered/ and fleet/claims/ of the work tree from what its fleet renders; made so where write.

    riti is the version that renders. Raises FleetError and GitopsError as validate_work_tree does, before
    anything is written.
    """
    with hold_collection():
        known = memory.recall()
        right = sorted(name for name, part in known.parts.items() if part.stamp) if known else []
        look = partial(look_folder, repo)
        with share_forked(look, [f"{RENDERED}/{name}" for name in right], _FOLDERS_PER_PROCESS) as collect:
            survey = survey_fleet(repo, known)
            stamps = dict.fromkeys(known.parts, "") if known else {}
            stamps |= zip(right, collect(), strict=True)
    again = find_stale(survey, known, stamps)
    judged = judge_parts(repo, survey, known, again)
    brought = _bring_folders(repo, judged, find_strays(repo, survey.companies), riti, write)
    claims = {
        path: text.decode("utf-8", "surrogateescape") for path, text in _claims_of(judged.files).items()
    }
    changes = compare(claims, judged.loaded.claims)
    written = write_changes(repo, changes, judged.loaded.claims) if write else {}
    folders = sorted(judged.again)

    def settle(name: str) -> str:
        return settle_folder(repo, f"{RENDERED}/{name}", brought[name])

    settled = dict(zip(folders, map_forked(settle, folders, _FOLDERS_PER_PROCESS), strict=True))
    parts = {
        name: replace(part, stamp=settled[name], claimed=part.claimed or write) if name in settled else part
        for name, part in _join_parts(survey, known, judged).items()
    }
    files = _restamp(repo, survey.files, changes, written, judged.loaded.claims) if write else survey.files
    _keep(memory, known, Remembered(files, parts))
    return tuple(sorted([*changes, *(change for one in brought.values() for change in one.changes)]))


def survey_fleet(repo: Path, known: Remembered | None) -> Survey:
    """Look at every file under fleet/, and read those whose stamp is not the remembered one."""
    seen_ns = time.time_ns()
    before = known.files if known else {}
    files: dict[str, KnownFile] = {}
    fresh = {}
    for path, stamp in find_fleet_files(repo).items():
        old = before.get(path)
        if old and old.stamp == write_stamp(stamp):
            files[path] = old
        else:
            fresh[path] = stamp
    read = read_contents(repo, fresh)
    moved: set[str | None] = {before[path].scope for path in before.keys() - files.keys() - fresh.keys()}
    for path, stamp in fresh.items():
        old, blob, scope = before.get(path), hash_blob(read[path]), find_scope(path, read[path])
        if old is None:
            moved.add(scope)
        elif old.blob != blob:
            moved |= {scope, old.scope}
        files[path] = KnownFile(write_stamp(stamp) if is_settled(stamp, seen_ns) else "", blob, scope)
    companies = frozenset(
        path.removeprefix(_COMPANIES).removesuffix(".yaml")
        for path in files
        if path.startswith(_COMPANIES) and path.endswith(".yaml") and path.count("/") == 2
    )
    return Survey(files, read, companies, frozenset(moved))


def find_stale(survey: Survey, known: Remembered | None, stamps: Mapping[str, str]) -> frozenset[str]:
    """The companies (and "_fleet") that are not known to be right; stamps: what each rendered folder has now.

    Without stamps the rendered folders are not asked about.
    """
    every = _list_folders(survey)
    if known is None or _is_all(survey, known):
        return every
    lost = {name for name, stamp in stamps.items() if not stamp or stamp != known.parts[name].stamp}
    unclaimed = {name for name, part in known.parts.items() if not part.claimed}
    again = set(survey.moved) | (every - known.parts.keys()) | lost | unclaimed
    if known.parts.keys() != every or again - every - {None}:
        again.add(FLEET_FOLDER)  # a claim whose company is not there, or was not, is an input of it
    return every & again


def judge_parts(repo: Path, survey: Survey, known: Remembered | None, again: frozenset[str]) -> Judged:
    """Judge these companies, and those that say a unique value of theirs as well. Raises FleetError."""
    kept = (
        {name: known.parts[name] for name in (survey.companies & known.parts.keys()) - again} if known else {}
    )
    chosen = {
        path
        for path, file in survey.files.items()
        if not file.scope or file.scope in again or file.scope not in survey.companies
    }
    files = {path: survey.read[path] for path in chosen if path in survey.read}
    files |= _read_known(repo, survey.files, chosen - files.keys())
    draft, problems = read_draft(files, partial(map_forked, read_file, least=_FILES_PER_PROCESS))
    unique = _find_unique(draft)
    homes = {value: name for name, part in kept.items() for value in part.unique}
    if others := {homes[value] for values in unique.values() for value in values if value in homes}:
        return judge_parts(repo, survey, known, again | others)
    if kept and draft and _is_overfull(draft, kept.values()):
        return judge_parts(repo, survey, known, _list_folders(survey))
    loaded = complete_draft(files, draft, problems, _find_taken(survey.files.keys() - chosen))
    claims = _claims_of(files)
    wanted = {path: text.encode() for path, text in loaded.claims.items()}
    unlike = {path for path in claims.keys() | wanted.keys() if claims.get(path) != wanted.get(path)}
    unclaimed = {find_scope(path, one[path]) for path in unlike for one in (claims, wanted) if path in one}
    parts = {
        company.slug: Part(
            len(company.boxes),
            sum(len(box.said.extensions) for box in company.boxes),
            tuple(unique.get(company.slug, ())),
            _count_places(company),
            tuple(one for one in loaded.warnings if find_scope(one.file, b"") == company.slug),
            company.slug not in unclaimed,
            "",
        )
        for company in loaded.fleet.companies
    }
    if FLEET_FOLDER in again:
        parts[FLEET_FOLDER] = Part(0, 0, (), (), (), not unclaimed - survey.companies, "")
    return Judged(again, loaded, files, parts)


def find_strays(repo: Path, companies: frozenset[str]) -> list[str]:
    """Paths in rendered/ (or itself) that belong to no company and not to the fleet."""
    place = repo / RENDERED
    if place.is_symlink() or place.is_file():
        return [RENDERED]
    if not place.is_dir():
        return []
    return [
        f"{RENDERED}/{name}" for name in sorted(os.listdir(place)) if name not in companies | {FLEET_FOLDER}
    ]


def _list_folders(survey: Survey) -> frozenset[str]:
    return survey.companies | {FLEET_FOLDER}


def _is_all(survey: Survey, known: Remembered | None) -> bool:
    """Whether something changed that belongs to all."""
    return known is None or "" in survey.moved


def _bring_folders(
    repo: Path, judged: Judged, strays: Iterable[str], riti: str, write: bool
) -> dict[str, Brought]:
    """Name of a folder (path of a stray) → what it needed."""
    fleet, inputs = judged.loaded.fleet, list_inputs(judged.loaded, judged.files)
    brought = {stray: bring_folder(repo, stray, {}, write) for stray in strays}

    def bring(name: str) -> Brought:
        return bring_folder(repo, f"{RENDERED}/{name}", render_folder(fleet, name, inputs[name], riti), write)

    folders = sorted(judged.again)
    return brought | dict(zip(folders, map_forked(bring, folders, _FOLDERS_PER_PROCESS), strict=True))


def _find_unique(draft: Draft | None) -> dict[str, list[str]]:
    """company → its values of list_unique, each with its kind."""
    found: dict[str, list[str]] = {}
    for kind, uses in enumerate(list_unique(draft) if draft else ()):
        for use in uses:
            company = find_scope(use.source.path, b"") or ""
            found.setdefault(company, []).append(f"{kind} {use.value}")
    return found


def _count_places(company: Company) -> tuple[tuple[str, int], ...]:
    counts = Counter(box.settings.place for box in company.boxes)
    return tuple(sorted((place, count) for place, count in counts.items() if place is not None))


def _is_overfull(draft: Draft, kept: Iterable[Part]) -> bool:
    """Whether the draft's boxes and the remembered ones are together more than a place carries."""
    counts = count_placed(draft.fleet, draft.companies, draft.boxes)
    for part in kept:
        counts.update(dict(part.placed))
    return any(counts[place.name] > place.boxes for place in draft.fleet.places)


def _find_taken(paths: Iterable[str]) -> frozenset[str]:
    """The addresses of these claims; they were judged when they were remembered."""
    return frozenset(path.removeprefix(OVERLAY_FOLDER) for path in paths if path.startswith(OVERLAY_FOLDER))


def _read_known(repo: Path, files: Mapping[str, KnownFile], paths: Iterable[str]) -> dict[str, bytes]:
    contents = read_contents(repo, paths)
    for path, content in contents.items():
        if hash_blob(content) != files[path].blob:
            raise GitopsError.because(f"{path} changed while it was being read", "run the same again")
    return contents


def _claims_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if f"{path}/".startswith(CLAIMS_FOLDER)}


def _join_parts(survey: Survey, known: Remembered | None, judged: Judged) -> dict[str, Part]:
    """Every company's part: the judged ones, and the others as they were remembered."""
    kept = known.parts if known else {}
    return {name: kept[name] for name in kept.keys() & _list_folders(survey)} | dict(judged.parts)


def _restamp(
    repo: Path,
    files: Mapping[str, KnownFile],
    changes: Iterable[Change],
    written: Mapping[str, tuple[int, int, int]],
    texts: Mapping[str, str],
) -> dict[str, KnownFile]:
    """The fleet's files after the claims were written."""
    after = dict(files)
    seen_ns = time.time_ns()
    for change in changes:
        after.pop(change.path, None)
        if change.path in written:
            content = texts[change.path].encode()
            stamp = read_stamp(repo / change.path)
            ours = (stamp[4], stamp[2], stamp[1]) == written[change.path] and is_settled(stamp, seen_ns)
            blob, scope = hash_blob(content), find_scope(change.path, content)
            after[change.path] = KnownFile(write_stamp(stamp) if ours else "", blob, scope)
    return after


def _sum_up(survey: Survey, parts: Mapping[str, Part], judged: Iterable[Problem]) -> Verdict:
    """judged are the warnings just found; of these, those about files of no company are in no part."""
    warnings = [one for one in judged if find_scope(one.file, b"") not in survey.companies]
    warnings += [one for part in parts.values() for one in part.warnings]
    boxes = sum(part.boxes for part in parts.values())
    extensions = sum(part.extensions for part in parts.values())
    return Verdict(tuple(sorted(warnings)), len(survey.companies), boxes, extensions)


def _keep(memory: Memory, known: Remembered | None, now: Remembered) -> None:
    if known is None or known != now:
        memory.keep(now)
