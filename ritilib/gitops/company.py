"""One company of a commit: its rendered files proven against its manifest, and both against what asks for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.source import Source, build_model, parse_source
from ritilib.gitops.pack import pack_texts
from ritilib.reconcile.state import NEEDED_FILES, Digests, Wish
from ritilib.render.manifest import FLEET_FOLDER, Manifest, name_manifest, read_manifest
from ritilib.render.names import UnitNames
from ritilib.render.rules import EnrollmentRules, ImageRules, SyncRules, Windows

FLEET_FILE = "fleet/fleet.yaml"
RENDER = "run `riti render` and propose the result"
STALE = "company-stale"  # the rule of a held company's problem
_LIGHTHOUSE = "lighthouse-"
_SYNC, _ENROLLMENT = SyncRules(), EnrollmentRules()  # where nobody says another
_SURROGATE = re.compile("[\ud800-\udfff]")  # what read_texts makes of a byte that is not UTF-8


@dataclass(frozen=True)
class Unit:
    """One thing to run: key "acme/montevideo" (a PBX and its box) or "lighthouse/one"; files: path → text.

    canary: it is among the first
    of every rollout; windows: when it may be replaced although it has calls; sync: what is left alone of it. digests
    are those of its wish; None where a file that it needs is missing. awaits_box: its PBX is made when its box is
    bound, and not before; enrollment: which box may be; image: which version of its image the box runs.
    """

    key: str
    kind: Literal["pbx", "lighthouse"]
    files: Mapping[str, str]
    canary: bool = False
    windows: Windows | None = None
    sync: SyncRules = _SYNC
    digests: Digests | None = field(default=None, compare=False, repr=False)
    awaits_box: bool = False
    enrollment: EnrollmentRules = _ENROLLMENT
    image: ImageRules | None = None


@dataclass(frozen=True)
class Part:
    """What one company (or "_fleet") asks for; held: why nothing of it may be changed, and it has no units then. sync:
    what is left alone of all of it."""

    units: tuple[Unit, ...]
    held: Problem | None = None
    sync: SyncRules = _SYNC


def parse_fleet_file(content: bytes) -> tuple[Source, FleetFile]:
    """fleet.yaml with its lines, and what it says; GitopsError where it cannot be used."""
    source = parse_source(FLEET_FILE, content)
    if isinstance(source, Problem):
        raise GitopsError([source])
    said, problems = build_model(source, FleetFile)
    if said is None:
        raise GitopsError(problems)
    return source, said


def find_asker(company: str) -> str:
    """The file that asks for a company's manifest."""
    return FLEET_FILE if company == FLEET_FOLDER else f"fleet/companies/{company}.yaml"


def check_company(
    company: str, inputs: Iterable[str], tree_id: str, rendered: Mapping[str, str], fleet: FleetFile
) -> tuple[Part | None, list[Problem]]:
    """(part, problems) of a company: paths of its inputs, their tree id, its files under rendered/ (path → text).

    fleet is what fleet.yaml says. The part is None where its manifest cannot be read.
    """
    path = name_manifest(company)
    if path not in rendered:
        return None, [Problem(path, 0, 0, f"is missing, and {find_asker(company)} asks for it", RENDER)]
    try:
        manifest = read_manifest(rendered[path], path)
    except GitopsError as error:
        return None, list(error.problems)
    problems, texts = _check_files(company, manifest, rendered)
    if manifest.inputs != tree_id:
        what = f"is stale: rendered from {manifest.inputs[:12]}, while this commit holds {tree_id[:12]}"
        mend = f"{RENDER}; until then nothing of `{company}` is changed"
        return Part((), Problem(path, 0, 0, what, mend, STALE)), problems
    problems += _check_names(path, manifest, fleet)
    problems += _check_removals(path, manifest, fleet if company == FLEET_FOLDER else None)
    problems += _check_boxes(path, manifest, _find_asked(company, inputs, fleet))
    if problems:
        return Part(()), problems
    return Part(tuple(_make_units(company, manifest, texts)), sync=manifest.sync), []


def _check_files(
    company: str, manifest: Manifest, rendered: Mapping[str, str]
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
                problems.append(Problem(path, 0, 0, what, RENDER))
            else:
                texts[box][inner] = text
    for path in rendered:
        if path not in listed:
            problems.append(Problem(path, 0, 0, "is listed by no manifest", f"remove it, or {RENDER}"))
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
        yield Problem(path, 0, 0, what, RENDER)


def _check_removals(path: str, manifest: Manifest, fleet: FleetFile | None) -> Iterator[Problem]:
    """A removal approved by hand in a manifest, which no reviewer of fleet.yaml saw; fleet: None for a company's."""
    if manifest.removals != (sorted(set(fleet.removals)) if fleet else []):
        yield Problem(path, 0, 0, f"approves other `removals` than {FLEET_FILE}", RENDER)


def _find_asked(company: str, inputs: Iterable[str], fleet: FleetFile) -> dict[str, str]:
    """box (or lighthouse's folder) → the file that asks for it."""
    if company == FLEET_FOLDER:
        return {f"{_LIGHTHOUSE}{lighthouse.name}": FLEET_FILE for lighthouse in fleet.lighthouses}
    folder = f"fleet/boxes/{company}/"
    return {
        path.removeprefix(folder).removesuffix(".yaml"): path for path in inputs if path.startswith(folder)
    }


def _check_boxes(path: str, manifest: Manifest, asked: Mapping[str, str]) -> Iterator[Problem]:
    """A manifest emptied while its boxes still stand in fleet/ must not read as a wish to delete them."""
    for box in sorted(asked.keys() - manifest.boxes.keys()):
        yield Problem(path, 0, 0, f"does not list `{box}`, and {asked[box]} asks for it", RENDER)
    for box in sorted(manifest.boxes.keys() - asked.keys()):
        yield Problem(path, 0, 0, f"lists `{box}`, and nothing under fleet/ asks for it", RENDER)


def _make_units(company: str, manifest: Manifest, texts: Mapping[str, Mapping[str, str]]) -> Iterator[Unit]:
    boxes = sorted(manifest.boxes)
    packed = pack_texts(texts)
    for box in boxes:
        home, name = company, box
        if company == FLEET_FOLDER:
            home, name = "lighthouse", box.removeprefix(_LIGHTHOUSE)
        digests = None
        if all(needed in texts[box] for needed in NEEDED_FILES):
            digests = Wish(UnitNames(manifest.fleet, home, name), texts[box]).digests
        yield _make_unit(f"{home}/{name}", manifest, box, packed[box], digests)


def _make_unit(
    key: str, manifest: Manifest, box: str, texts: Mapping[str, str], digests: Digests | None
) -> Unit:
    if key.startswith("lighthouse/"):
        return Unit(key, "lighthouse", texts, sync=manifest.sync, digests=digests)
    entry = manifest.boxes[box]
    sync = manifest.sync if entry.sync is None else entry.sync
    awaits_box = entry.start == "on-enroll"
    return Unit(
        key,
        "pbx",
        texts,
        entry.canary,
        entry.windows,
        sync,
        digests,
        awaits_box,
        entry.enrollment,
        entry.image,
    )
