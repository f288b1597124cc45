"""From the fleet's files (path → bytes) to a Fleet, or to every problem that they have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import phonenumbers
from pydantic import BaseModel

from ritilib.errors import FleetError, Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.claims import Claims, complete_claims, name_owners, read_claims, write_claims
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.kinds import SLUG_LONGEST, SLUG_PATTERN
from ritilib.fleet.model import Box, Company, Fleet
from ritilib.fleet.rules import RESERVED_COMPANIES, Draft, judge
from ritilib.fleet.schema import find_stale_schemas
from ritilib.fleet.settings import inherit_settings
from ritilib.fleet.source import Source, build_model, parse_source
from ritilib.fleet.warnings import find_warnings
from ritilib.fleet.words import WORDS_FOLDER, WORDS_PATH, judge_recording, list_used

FLEET_PATH = "fleet/fleet.yaml"
_COMPANY = re.compile(r"^fleet/companies/([^/]+)\.yaml\Z")
_BOX = re.compile(r"^fleet/boxes/([^/]+)/([^/]+)\.yaml\Z")


@dataclass(frozen=True)
class Asked:
    """One file to read, and the model that it shall be."""

    path: str
    content: bytes
    model: type[BaseModel]


@dataclass(frozen=True)
class Read:
    """What one file says; said is None where it cannot be that model."""

    source: Source | None
    said: Any
    problems: tuple[Problem, ...]


ReadAll = Callable[[Sequence[Asked]], Sequence[Read]]


def read_in_turn(asked: Sequence[Asked]) -> list[Read]:
    """Each file read, in the same order."""
    return [read_file(one) for one in asked]


@dataclass(frozen=True)
class Loaded:
    """The fleet, the text of every claim file that belongs to it (those that were missing included), and warnings."""

    fleet: Fleet
    claims: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()


def load_fleet(
    files: Mapping[str, bytes], read: ReadAll = read_in_turn, taken: frozenset[str] = frozenset()
) -> Loaded:
    """Read every file under fleet/ (path → content).

    read says how many files are read: one after the other, or shared among processes. taken are addresses (as text)
    that nobody new may be given, besides the claimed ones. Raises FleetError with all problems at once: those of single
    files, and, for the files that could be read, those between files.
    """
    draft, problems = read_draft(files, read)
    return complete_draft(files, draft, problems, taken)


def complete_draft(
    files: Mapping[str, bytes],
    draft: Draft | None,
    problems: list[Problem],
    taken: frozenset[str] = frozenset(),
) -> Loaded:
    """What read_draft gave, judged as a whole and with every address; files and taken as in load_fleet."""
    if draft is None:
        raise FleetError(sorted(problems))
    claims, found = read_claims(files, draft.fleet.overlay)
    problems = [*problems, *judge(draft), *found]
    owners = name_owners(draft.boxes, (lighthouse.name for lighthouse in draft.fleet.lighthouses))
    claims, found = complete_claims(claims, owners, draft.fleet.overlay, taken)
    problems += (draft.source.problem(("overlay",), one.what, one.mend, one.rule) for one in found)
    if problems:
        raise FleetError(sorted(problems))
    warnings = tuple(sorted([*find_warnings(draft), *find_stale_schemas(files)]))
    serials = {box.serial: key for key, (_, box) in draft.boxes.items() if box.serial}
    written = write_claims(claims, _own_numbers(draft), serials)
    return Loaded(_assemble(draft, claims), written, warnings)


def read_draft(
    files: Mapping[str, bytes], read: ReadAll = read_in_turn
) -> tuple[Draft | None, list[Problem]]:
    """The files that could be read, and the problems of each by itself; None where fleet.yaml could not."""
    reads = _read_models(files, read)
    problems: list[Problem] = []
    fleet = _read_fleet_file(reads, problems)
    companies = _read_companies(reads, problems)
    boxes = _read_boxes(files, reads, problems)
    known = {match.group(1) for match in map(_COMPANY.match, files) if match}
    words = _read_words(files, known, problems)
    for key, (source, _) in sorted(boxes.items()):
        company = key.split("/")[0]
        if company not in known:
            mend = f"add fleet/companies/{company}.yaml, or move the file to its company's folder"
            what = f"a box of an unknown company `{company}`"
            problems.append(Problem(source.path, 1, 1, what, mend, "unknown-company"))
    asked = {match.group(1, 2) for match in map(_BOX.match, files) if match}
    incomplete = frozenset(company for company, box in asked if f"{company}/{box}" not in boxes)
    return (Draft(*fleet, companies, boxes, incomplete, words) if fleet else None), problems


def read_file(asked: Asked) -> Read:
    """One file as its model, with every problem that it has by itself."""
    source = parse_source(asked.path, asked.content)
    if isinstance(source, Problem):
        return Read(None, None, (source,))
    said, problems = build_model(source, asked.model)
    # Without the tree, which weighs a hundred times the file: it comes again when a problem asks for a line.
    return Read(Source(asked.path, asked.content), said, tuple(problems))


def _read_models(files: Mapping[str, bytes], read: ReadAll) -> dict[str, Read]:
    """path → what it says, for each file that is to be a model."""
    asked = []
    for path in sorted(files):
        if path == FLEET_PATH:
            asked.append(Asked(path, files[path], FleetFile))
        elif _COMPANY.match(path):
            asked.append(Asked(path, files[path], CompanyFile))
        elif _BOX.match(path):
            asked.append(Asked(path, files[path], BoxFile))
    return {one.path: said for one, said in zip(asked, read(asked), strict=True)}


def _read_fleet_file(reads: Mapping[str, Read], problems: list[Problem]) -> tuple[Source, FleetFile] | None:
    if FLEET_PATH not in reads:
        mend = "make the repository with `riti init`"
        problems.append(Problem(FLEET_PATH, 0, 0, "is missing", mend, "missing-file"))
        return None
    read = _take(reads[FLEET_PATH], problems)
    if read is None:
        return None
    source, said = read
    if said.country not in phonenumbers.SUPPORTED_REGIONS:
        what = f"`country` ({said.country}) is no country with telephone numbers"
        mend = "write its two letters, such as UY"
        problems.append(source.problem(("country",), what, mend, "unknown-country"))
    return source, said


def _take(read: Read, problems: list[Problem]) -> tuple[Source, Any] | None:
    """What was read, its problems added to the others'; None where the file cannot be its model."""
    problems += read.problems
    return (read.source, read.said) if read.source and read.said else None


def _read_companies(
    reads: Mapping[str, Read], problems: list[Problem]
) -> dict[str, tuple[Source, CompanyFile]]:
    found: dict[str, tuple[Source, CompanyFile]] = {}
    for path in sorted(reads):
        match = _COMPANY.match(path)
        if not match:
            continue
        company = match.group(1)
        problems += _judge_slug(path, company)
        if company in RESERVED_COMPANIES:
            what = f"`{company}` is a name that RITI keeps for itself"
            problems.append(Problem(path, 0, 0, what, "take another", "reserved-name"))
        if read := _take(reads[path], problems):
            found[company] = read
    return found


def _read_boxes(
    files: Mapping[str, bytes], reads: Mapping[str, Read], problems: list[Problem]
) -> dict[str, tuple[Source, BoxFile]]:
    found: dict[str, tuple[Source, BoxFile]] = {}
    for path in sorted(files):
        match = _BOX.match(path)
        if not match:
            problems += _judge_place(path)
            continue
        problems += _judge_slug(path, match.group(2))
        if read := _take(reads[path], problems):
            found[f"{match.group(1)}/{match.group(2)}"] = read
    return found


def _read_words(
    files: Mapping[str, bytes], known: Set[str], problems: list[Problem]
) -> dict[str, dict[str, bytes]]:
    """company → name → content of every recording; known are the companies that have a file."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(files):
        match = WORDS_PATH.match(path)
        if not match:
            continue
        company, name = match.groups()
        problems += [*_judge_slug(path, name), *judge_recording(path, files[path])]
        if company not in known:
            mend = f"add fleet/companies/{company}.yaml, or move the file to its company's folder"
            what = f"words of an unknown company `{company}`"
            problems.append(Problem(path, 0, 0, what, mend, "unknown-company"))
        found.setdefault(company, {})[name] = files[path]
    return found


def _judge_place(path: str) -> list[Problem]:
    """A problem for a file that looks as if it described something, and is not read."""
    if path == FLEET_PATH or _COMPANY.match(path) or WORDS_PATH.match(path):
        return []
    if path.startswith(WORDS_FOLDER):
        mend = f"name it {WORDS_FOLDER}<company>/<name>.gsm, or make it with `riti words add`"
        return [Problem(path, 0, 0, "is no file that RITI reads", mend, "wrong-place")]
    if not path.endswith((".yaml", ".yml")) and not path.startswith(("fleet/boxes/", "fleet/companies/")):
        return []
    mend = "name it fleet/companies/<company>.yaml or fleet/boxes/<company>/<box>.yaml, or take it elsewhere"
    return [Problem(path, 0, 0, "is no file that RITI reads", mend, "wrong-place")]


def _judge_slug(path: str, slug: str) -> list[Problem]:
    if re.fullmatch(SLUG_PATTERN, slug) and len(slug) <= SLUG_LONGEST:
        return []
    mend = f"use at most {SLUG_LONGEST} of a to z, 0 to 9 and single dashes, a letter first"
    what = f"`{slug}` cannot be a name in Nomad, Consul and Vault"
    return [Problem(path, 0, 0, what, mend, "bad-slug")]


def _own_numbers(draft: Draft) -> dict[str, str]:
    """Public number → its owner: a line, or, where it has it for its own, an extension."""
    lines = {box.line.number: f"{key} line" for key, (_, box) in draft.boxes.items() if box.line}
    return lines | {
        extension.public: f"{key} {extension.number}"
        for key, (_, box) in draft.boxes.items()
        for extension in box.extensions
        if extension.public
    }


def _assemble(draft: Draft, claims: Claims) -> Fleet:
    companies = []
    for slug in sorted(draft.companies):
        boxes = tuple(
            Box(
                company=slug,
                slug=key.split("/")[1],
                said=draft.boxes[key][1],
                settings=inherit_settings(draft.fleet, draft.companies[slug][1], draft.boxes[key][1]),
                box_address=claims.find(f"{key} box"),
                pbx_addresses=(claims.find(f"{key} pbx-0"), claims.find(f"{key} pbx-1")),
            )
            for key in draft.keys_of(slug)
        )
        said, words = draft.companies[slug][1], draft.words.get(slug, {})
        used = {name: words[name] for name in list_used(said)}
        companies.append(Company(slug=slug, said=said, boxes=boxes, words=used))
    lighthouses = tuple(claims.find(f"lighthouse/{one.name}") for one in draft.fleet.lighthouses)
    return Fleet(said=draft.fleet, companies=tuple(companies), lighthouse_addresses=lighthouses)
