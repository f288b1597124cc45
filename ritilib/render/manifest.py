"""The manifest of one company: every box that must exist, its files and hashes, and its inputs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.fleet_file import Rollout
from ritilib.fleet.kinds import Removal, Slug, Start
from ritilib.render.language import write_json
from ritilib.render.rules import EnrollmentRules, ImageRules, SyncRules, Windows

Value = TypeVar("Value")
FORMAT = 1
FLEET_FOLDER = "_fleet"  # beside the companies in rendered/; no slug starts with an underscore
MEND = "run `riti render` and propose the result; a manifest is never edited by hand"
_SCOPED = re.compile(r"^fleet/(?:companies/(?P<company>[^/]+)\.yaml|(?:boxes|words)/(?P<folder>[^/]+)/.+)$")
_CLAIMS = "fleet/claims/"
_OF_A_COMPANY = ("fleet/boxes/", "fleet/words/")  # which need not have a file of its own
_LIGHTHOUSE = "lighthouse"
_ROLLOUT, _SYNC, _ENROLLMENT = Rollout(), SyncRules(), EnrollmentRules()  # where nobody says another
_OWNER = re.compile(rb"\s*([a-z][a-z0-9-]*)/")

CompanyFolder = Annotated[str, StringConstraints(pattern=r"^(_fleet|[a-z][a-z0-9]*(-[a-z0-9]+)*)$")]
# Path inside a box's folder: plain names joined by "/", none of them ".", ".." or hidden.
FilePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TreeId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ManifestBox(_Frozen):
    """One box (or lighthouse): path inside its folder → SHA-256 of the file, in hexadecimal; and how it is replaced.

    sync: what is left alone of it, where that is not what the whole manifest says. start: whether its PBX waits for its
    box; enrollment: which box that is; image: which version of its image it runs (None: the one that it has).
    """

    files: Annotated[dict[FilePath, Sha256], Field(min_length=1)]
    canary: bool = False
    windows: Windows | None = None
    sync: SyncRules | None = None
    start: Start = "on-enroll"
    enrollment: EnrollmentRules = _ENROLLMENT
    image: ImageRules | None = None


class Manifest(_Frozen):
    """rendered/<company>/manifest.json; company is "_fleet" for what belongs to no company."""

    format: Literal[1]
    company: CompanyFolder
    fleet: Slug
    fleet_id: Annotated[UUID, Field(strict=False)]
    riti: Annotated[str, StringConstraints(min_length=1)]
    inputs: TreeId
    boxes: dict[Slug, ManifestBox]
    removals: list[Removal] = []  # of "_fleet" alone: what may go although it is over the limit
    rollout: Rollout = _ROLLOUT
    sync: SyncRules = _SYNC  # of "_fleet": the fleet's, which is also its lighthouses'

    @model_validator(mode="after")
    def _refuse_what_is_not_its_own(self) -> Manifest:
        """Waves are the fleet's; canaries and windows are offices'."""
        if self.company != FLEET_FOLDER and "rollout" in self.model_fields_set:
            raise ValueError(f"`rollout` belongs into the manifest of {FLEET_FOLDER}")
        if self.company == FLEET_FOLDER and any(
            box.canary or box.windows or box.sync or box.image for box in self.boxes.values()
        ):
            raise ValueError("`canary`, `windows`, `image` and a `sync` of its own are no lighthouse's")
        return self


def name_manifest(company: str) -> str:
    """The path of a company's manifest in the repository."""
    return f"rendered/{company}/manifest.json"


def build_manifest(
    company: str,
    fleet: str,
    fleet_id: str,
    riti: str,
    inputs: str,
    boxes: Mapping[str, Mapping[str, bytes | str]],
    upkeep: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    rollout: Rollout = _ROLLOUT,
    removals: Iterable[str] = (),
    sync: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The manifest's text: sorted JSON, two spaces deep, a line feed at the end.

    company is a slug or "_fleet"; riti is the version that rendered; inputs is the Git tree id of what it was
    rendered from (compute_tree_id of select_inputs); boxes maps a box to its files (path inside the box's
    folder → content). upkeep maps a box to what list_upkeep says of it, rollout and removals are fleet.yaml's, sync is
    what describe_sync says of the company or the fleet; what is as everywhere is not written, so a fleet that says
    nothing of it has the manifests that it had.
    """
    listed = {
        box: {
            "files": {path: hashlib.sha256(_encode(content)).hexdigest() for path, content in files.items()},
            **upkeep.get(box, {}),
        }
        for box, files in boxes.items()
    }
    said: dict[str, Any] = {
        "format": FORMAT,
        "company": company,
        "fleet": fleet,
        "fleet_id": fleet_id,
        "riti": riti,
        "inputs": inputs,
        "boxes": listed,
    }
    if rollout != _ROLLOUT:
        said["rollout"] = rollout.model_dump()
    if removed := sorted(set(removals)):
        said["removals"] = removed
    if sync:
        said["sync"] = dict(sync)
    return write_json(said)


def read_manifest(text: str, path: str) -> Manifest:
    """The manifest in text; path (in the repository) is where its problems are said to be.

    Raises GitopsError with every problem: text that is no JSON, a key given twice, unknown or missing keys,
    values of another form, a company other than the folder's.
    """
    try:
        said = json.loads(text, object_pairs_hook=_refuse_doubles)
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg}" if text.strip() else "is empty"
        raise GitopsError([Problem(path, error.lineno, error.colno, what, MEND)]) from None
    except ValueError as error:
        raise GitopsError([Problem(path, 0, 0, str(error), MEND)]) from None
    except RecursionError:
        raise GitopsError([Problem(path, 0, 0, "is nested too deeply", MEND)]) from None
    try:
        manifest = Manifest.model_validate(said)
    except ValidationError as error:
        raise GitopsError(_explain(path, detail) for detail in error.errors(include_url=False)) from None
    if path != name_manifest(manifest.company):
        what = f"is the manifest of `{manifest.company}`, which belongs at {name_manifest(manifest.company)}"
        raise GitopsError([Problem(path, 0, 0, what, MEND)])
    return manifest


def compute_tree_id(files: Mapping[str, bytes]) -> str:
    """The id (SHA-1 object format, 40 hexadecimal digits) of the Git tree that holds just these files.

    files maps a path ("fleet/fleet.yaml") to its content; each counts as an ordinary file, mode 100644. The
    format is Git's own (Documentation/gitformat-*; `git write-tree` gives the same).
    """
    return join_tree_id({path: _hash_object(b"blob", content) for path, content in files.items()})


def join_tree_id(blobs: Mapping[str, bytes]) -> str:
    """The same of blobs whose ids (20 bytes) are known: path → id."""
    root: dict[str, Any] = {}
    for path, blob in blobs.items():
        *folders, name = path.split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = blob
    return _hash_tree(root).hex()


def group_inputs(files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """company → its manifest's inputs (path → content), for "_fleet" and each fleet/companies/<company>.yaml.

    files maps a path to its content; what is not under fleet/, hidden files and editors' copies (`x~`) count
    nowhere. The inputs of a company are fleet/fleet.yaml, its own file, its boxes', its words and its claims; of
    "_fleet", fleet.yaml and the claims of no company. A claim belongs to the company that its text begins
    with ("acme/montevideo pbx-0"); a lighthouse's, which stands in every overlay configuration, and one whose
    text begins otherwise belong to all. Claims of others are no input, because two pull requests that add
    boxes to two companies must not meet in each other's manifests.
    """
    return group_scoped(files, lambda path: find_scope(path, files[path]))


def group_scoped(
    files: Mapping[str, Value], find: Callable[[str], str | None]
) -> dict[str, dict[str, Value]]:
    """The same in one pass, whatever stands for a file's content; find gives find_scope's answer for a path."""
    own: dict[str, dict[str, Value]] = {FLEET_FOLDER: {}}
    shared: dict[str, Value] = {}
    scoped: list[tuple[str, str]] = []
    for path, value in files.items():
        scope = find(path)
        if scope is None:
            continue
        if not scope:
            shared[path] = value
            continue
        if not path.startswith((_CLAIMS, *_OF_A_COMPANY)):
            own.setdefault(scope, {})
        scoped.append((scope, path))
    for company, path in scoped:
        if company in own:
            own[company][path] = files[path]
        elif path.startswith(_CLAIMS):
            own[FLEET_FOLDER][path] = files[path]
    return {company: shared | inputs for company, inputs in own.items()}


def find_scope(path: str, content: bytes) -> str | None:
    """Whose a file is: a company's slug, "" for a file that belongs to all, None for one that counts nowhere.

    The company need not exist; group_inputs says what becomes of its files then.
    """
    if is_hidden(path):
        return None
    if path == "fleet/fleet.yaml":
        return ""
    if path.startswith(_CLAIMS):
        owner = _OWNER.match(content)
        company = owner.group(1).decode() if owner else ""
        return "" if company == _LIGHTHOUSE else company
    match = _SCOPED.match(path)
    return (match["company"] or match["folder"]) if match else None


def select_inputs(files: Mapping[str, bytes], company: str) -> dict[str, bytes]:
    """The inputs of one company's (or "_fleet"'s) manifest among the repository's files; see group_inputs."""
    return group_inputs(files).get(company, {})


def is_hidden(path: str) -> bool:
    """Whether RITI overlooks a file: a name that starts with a dot (.gitkeep) or ends with ~."""
    name = path.rpartition("/")[2]
    return name.startswith(".") or name.endswith("~")


def _hash_tree(node: Mapping[str, Any]) -> bytes:
    entries = []
    for name, value in node.items():
        if isinstance(value, dict):
            # Git sorts a folder as if its name ended with a slash: "a.b" stands before "a/", "a0" after it.
            entries.append((name.encode() + b"/", b"40000 " + name.encode(), _hash_tree(value)))
        else:
            entries.append((name.encode(), b"100644 " + name.encode(), value))
    return _hash_object(b"tree", b"".join(head + b"\0" + digest for _, head, digest in sorted(entries)))


def _hash_object(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).digest()


def _encode(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"says `{double}` twice")
    return said


def _explain(path: str, detail: Any) -> Problem:
    key = ".".join(str(step) for step in detail["loc"])
    return Problem(
        path, 0, 0, f"`{key}`: {detail['msg'][0].lower()}{detail['msg'][1:]}" if key else detail["msg"], MEND
    )
