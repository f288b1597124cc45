"""From the fleet's files (path → bytes) to a Fleet, or to every problem that they have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import phonenumbers

from ritilib.errors import FleetError, Problem
from ritilib.fleet.claims import Claims, complete_claims, name_owners, read_claims, write_claims
from ritilib.fleet.model import (
    SLUG_LONGEST,
    SLUG_PATTERN,
    Box,
    BoxFile,
    Company,
    CompanyFile,
    Fleet,
    FleetFile,
)
from ritilib.fleet.rules import RESERVED_COMPANIES, Draft, judge
from ritilib.fleet.settings import inherit_settings
from ritilib.fleet.source import Model, Source, build_model, parse_source

FLEET_PATH = "fleet/fleet.yaml"
_COMPANY = re.compile(r"^fleet/companies/([^/]+)\.yaml\Z")
_BOX = re.compile(r"^fleet/boxes/([^/]+)/([^/]+)\.yaml\Z")


@dataclass(frozen=True)
class Loaded:
    """The fleet, and the text of every claim file that belongs to it (those that were missing included)."""

    fleet: Fleet
    claims: Mapping[str, str]


def load_fleet(files: Mapping[str, bytes]) -> Loaded:
    """Read every file under fleet/ (path → content).

    Raises FleetError with all problems at once: those of single files, and, for the files that could be read,
    those between files.
    """
    problems: list[Problem] = []
    fleet = _read_fleet_file(files, problems)
    companies = _read_companies(files, problems)
    boxes = _read_boxes(files, problems)
    known = {match.group(1) for match in map(_COMPANY.match, files) if match}
    for key, (source, _) in sorted(boxes.items()):
        company = key.split("/")[0]
        if company not in known:
            mend = f"add fleet/companies/{company}.yaml, or move the file to its company's folder"
            problems.append(Problem(source.path, 1, 1, f"a box of an unknown company `{company}`", mend))
    if fleet is None:
        raise FleetError(sorted(problems))
    source, fleet_file = fleet
    draft = Draft(source, fleet_file, companies, boxes)
    problems += judge(draft)
    claims, found = read_claims(files, fleet_file.overlay)
    problems += found
    owners = name_owners(boxes, (lighthouse.name for lighthouse in fleet_file.lighthouses))
    claims, found = complete_claims(claims, owners, fleet_file.overlay)
    problems += found
    if problems:
        raise FleetError(sorted(problems))
    return Loaded(_assemble(draft, claims), write_claims(claims, _own_numbers(draft)))


def _read_fleet_file(files: Mapping[str, bytes], problems: list[Problem]) -> tuple[Source, FleetFile] | None:
    if FLEET_PATH not in files:
        problems.append(Problem(FLEET_PATH, 0, 0, "is missing", "make the repository with `riti init`"))
        return None
    read = _read_file(FLEET_PATH, files[FLEET_PATH], FleetFile, problems)
    if read is None:
        return None
    source, said = read
    if said.country not in phonenumbers.SUPPORTED_REGIONS:
        what = f"`country` ({said.country}) is no country with telephone numbers"
        problems.append(source.problem(("country",), what, "write its two letters, such as UY"))
    return source, said


def _read_file(
    path: str, content: bytes, model: type[Model], problems: list[Problem]
) -> tuple[Source, Model] | None:
    """One file as its model, its problems added to the others'; None where it cannot be one."""
    source = parse_source(path, content)
    if isinstance(source, Problem):
        problems.append(source)
        return None
    said, wrong = build_model(source, model)
    problems += wrong
    return (source, said) if said else None


def _read_companies(
    files: Mapping[str, bytes], problems: list[Problem]
) -> dict[str, tuple[Source, CompanyFile]]:
    found: dict[str, tuple[Source, CompanyFile]] = {}
    for path in sorted(files):
        match = _COMPANY.match(path)
        if not match:
            continue
        company = match.group(1)
        problems += _judge_slug(path, company)
        if company in RESERVED_COMPANIES:
            problems.append(
                Problem(path, 0, 0, f"`{company}` is a name that RITI keeps for itself", "take another")
            )
        if read := _read_file(path, files[path], CompanyFile, problems):
            found[company] = read
    return found


def _read_boxes(files: Mapping[str, bytes], problems: list[Problem]) -> dict[str, tuple[Source, BoxFile]]:
    found: dict[str, tuple[Source, BoxFile]] = {}
    for path in sorted(files):
        match = _BOX.match(path)
        if not match:
            if path.endswith((".yaml", ".yml")) and path != FLEET_PATH and not _COMPANY.match(path):
                mend = "name it fleet/companies/<company>.yaml or fleet/boxes/<company>/<box>.yaml"
                problems.append(Problem(path, 0, 0, "is no file that RITI reads", mend))
            continue
        problems += _judge_slug(path, match.group(2))
        if read := _read_file(path, files[path], BoxFile, problems):
            found[f"{match.group(1)}/{match.group(2)}"] = read
    return found


def _judge_slug(path: str, slug: str) -> list[Problem]:
    if re.fullmatch(SLUG_PATTERN, slug) and len(slug) <= SLUG_LONGEST:
        return []
    mend = f"use at most {SLUG_LONGEST} of a to z, 0 to 9 and single dashes, a letter first"
    return [Problem(path, 0, 0, f"`{slug}` cannot be a name in Nomad, Consul and Vault", mend)]


def _own_numbers(draft: Draft) -> dict[str, str]:
    return {
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
            for key in sorted(draft.boxes)
            if key.startswith(f"{slug}/")
        )
        companies.append(Company(slug=slug, said=draft.companies[slug][1], boxes=boxes))
    lighthouses = tuple(claims.find(f"lighthouse/{one.name}") for one in draft.fleet.lighthouses)
    return Fleet(said=draft.fleet, companies=tuple(companies), lighthouse_addresses=lighthouses)
