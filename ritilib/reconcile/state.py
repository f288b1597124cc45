"""The values that a decision is made of: the wish from Git, the inventory, and what the servers show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from ritilib.errors import GitopsError, Problem
from ritilib.reconcile.authority import Standing
from ritilib.reconcile.box_value import choose_box_files, hash_box_files
from ritilib.reconcile.rotation import FIRST, Generations
from ritilib.reconcile.suspensions import Suspension
from ritilib.render.names import CONFIG_FORMAT, UnitNames
from ritilib.render.rules import SyncRules, Windows

Entry = TypeVar("Entry")
JOB_FILE = "pbx/job.nomad.hcl"
NEEDED_FILES = (JOB_FILE, "pbx/secrets.json", "pbx/consul-policy.hcl", "pbx/vault-policy.hcl")
_SYNC = SyncRules()  # where nobody says another


@dataclass(frozen=True)
class Digests:
    """SHA-256 of a wish's parts, by which a plan compares them; live is that of its value without a version, box that
    of its box's files ("": it has none).

    generation is no hash, but that of the secrets of its links, so that a plan need not look into its files.
    """

    job: str
    live: str
    secrets: str
    policies: str
    generation: int = 1
    box: str = ""


@dataclass(frozen=True)
class Wish:
    """One unit as the merged commit wants it; files are its rendered ones, path below the unit's folder → text.

    canary, windows and sync are as in Unit; known are its digests where they were computed before.
    """

    names: UnitNames
    files: Mapping[str, str]
    canary: bool = False
    windows: Windows | None = None
    sync: SyncRules = _SYNC
    known: Digests | None = field(default=None, compare=False, repr=False)

    @cached_property
    def digests(self) -> Digests:
        return self.known or Digests(
            hash_text(self.job),
            hash_text(self.live_value(0)),
            hash_text(self.secrets),
            hash_text(self.policies),
            _read_generation(self.files["pbx/secrets.json"]),
            hash_box_files(box) if (box := choose_box_files(self.files)) else "",
        )

    @property
    def job(self) -> str:
        return self.files[JOB_FILE]

    @property
    def live(self) -> dict[str, str]:
        """What a running Asterisk takes by a reload: file name → text."""
        folder = "pbx/live/"
        return {
            path.removeprefix(folder): text for path, text in self.files.items() if path.startswith(folder)
        }

    @property
    def box_files(self) -> dict[str, str]:
        """What its box is configured with: path below the box's folder → text; {} where it has none."""
        return choose_box_files(self.files)

    @property
    def live_plans(self) -> dict[str, str]:
        """Of these, what a watcher acknowledges by its whole text."""
        return {name: text for name, text in self.live.items() if name.endswith(".conf")}

    @property
    def secrets(self) -> str:
        """What its secrets are to be, by name; the box's follow the PBX's, since one pull request changes both."""
        return self.files["pbx/secrets.json"] + self.files.get("box/secrets.json", "")

    @property
    def policies(self) -> str:
        return self.files["pbx/consul-policy.hcl"] + self.files["pbx/vault-policy.hcl"]

    def live_value(self, secrets_version: int) -> bytes:
        """The unit's one value in Consul: what it reloads, and which version of its Vault document goes with it."""
        value = {"format": CONFIG_FORMAT, "secrets_version": secrets_version, "files": self.live}
        return encode_live(value)


@dataclass(frozen=True, slots=True)  # of 10,000 units these are 9 MB less
class Record:
    """The inventory's entry of one unit. An entry that says `applying` is an intent whose end is not known.

    generations is what its PBX and its box hold of their links' secrets, where they ever held another than the first;
    secrets_version and box_version are the versions of their documents in Vault that say so (0: not known).
    absent_since and stopped_at are the marks of a unit that no manifest names (reconcile.prune); stopped_at is written
    before the job is stopped, so that a stop whose end is not known counts as one.
    """

    state: Literal["applying", "applied"]
    commit: str
    job: str = ""  # SHA-256 of the wish's parts as they were applied
    live: str = ""
    secrets: str = ""
    policies: str = ""
    value: str = ""  # SHA-256 of the value in Consul, and the ModifyIndex that writing it had (0: not known)
    value_index: int = 0
    secrets_version: int = 0
    box_version: int = 0
    box: str = ""  # SHA-256 of its box's files as they are in Consul
    box_value: str = ""  # and of that value itself, with its ModifyIndex
    box_index: int = 0
    generations: Generations | None = None
    job_modify_index: int = 0
    renew_at: str = ""  # RFC 3339: from then on its overlay certificate is due
    edition: int = (
        1  # of what its documents say of the overlay's authorities, and which one signed its certificate
    )
    signed_by: int = 1
    replaced_by: str = ""  # the commit whose job replaced the running task, and when (RFC 3339)
    replaced_at: str = ""
    kept_index: int = 0  # the ModifyIndex of what is kept to go back to (0: nothing is, or it is not known)
    judged: Literal["", "good", "bad"] = ""  # what became of it, and since when it is known
    judged_at: str = ""
    bad_job: str = ""  # SHA-256 of a job that did not come up: it went back, and that one is not tried again
    absent_since: str = ""  # RFC 3339
    stopped_at: str = ""  # RFC 3339

    @property
    def holds(self) -> Generations:
        return self.generations or FIRST

    @property
    def values(self) -> tuple[str, str]:
        """SHA-256 of what its key in Consul holds, and of what its box's does ("": it has none)."""
        return self.value, self.box_value

    def refuses(self, wish: Wish) -> bool:
        """Whether the wished job is the one that did not come up."""
        return bool(self.bad_job) and self.bad_job == wish.digests.job

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()


@dataclass(frozen=True)
class FleetRecord:
    """The inventory's entry of the fleet itself: which repository owns it, and the index below which nothing moved.

    drifted: units whose value at that index is not as recorded, and which was to be left so (reconcile.pauses).
    """

    fleet_id: str
    root_commit: str
    live_index: int = 0
    drifted: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()


@dataclass(frozen=True, slots=True)
class LiveJob:
    """What Nomad's list says of one job; allocations as in JobStub (None: not asked)."""

    modify_index: int
    stopped: bool
    meta: Mapping[str, str]
    allocations: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Observed:
    """What the servers show. values is None where the index says that no value has moved, so none was read.

    doubts say why this may not be all that there is (rule 5): nothing is deleted because of it. rewound: Consul shows
    an older state than was seen before. suspensions: what `riti suspend` wrote, also what is over. authority: how far
    the overlay's authorities are (None: there never was but one).
    """

    jobs: Mapping[str, LiveJob]
    records: Mapping[str, Record]
    fleet: FleetRecord | None
    live_index: int
    live_keys: frozenset[str]
    values: Mapping[str, str] | None  # key in Consul → SHA-256 of its value
    now: datetime
    doubts: tuple[str, ...] = ()
    rewound: bool = False
    suspensions: tuple[Suspension, ...] = ()
    authority: Standing | None = None

    @property
    def is_complete(self) -> bool:
        return not (self.doubts or self.rewound)


def _read_generation(secrets: str) -> int:
    """render.unit leaves it out while it is the first."""
    try:
        return int(json.loads(secrets).get("links", 1)) if '"links"' in secrets else 1
    except (ValueError, AttributeError, TypeError):
        return 1  # whoever writes its secrets refuses the file, and that unit alone


# Made once: making one costs more than a hundred uses of it, and a no-op reads a record for each box.
_RECORD = TypeAdapter(Record)
_FLEET_RECORD = TypeAdapter(FleetRecord)


def encode_live(value: Mapping[str, Any]) -> bytes:
    """A unit's value in Consul: the same bytes for the same value, since they are compared."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def read_live_files(value: bytes) -> Mapping[str, Any] | None:
    """The files of a unit's value in Consul, which anybody may have written: None where it is no such value."""
    try:
        files = json.loads(value)["files"]
    except (ValueError, KeyError, TypeError):
        return None
    return files if isinstance(files, dict) else None


def hash_text(text: str | bytes) -> str:
    """SHA-256 in hex, by which the inventory remembers what was applied."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def read_record(key: str, value: bytes) -> Record:
    """An inventory entry; GitopsError where it is none that this version writes."""
    return _read(key, value, _RECORD)


def read_fleet_record(key: str, value: bytes) -> FleetRecord:
    """The fleet's inventory entry; GitopsError where it is none that this version writes."""
    return _read(key, value, _FLEET_RECORD)


def _read(key: str, value: bytes, kind: TypeAdapter[Entry]) -> Entry:
    try:
        return kind.validate_json(value)
    except ValidationError as error:
        what = f"the inventory's entry {key} is not as this version of RITI writes it"
        mend = "see who wrote it; removed, it is made again from Git and Nomad at the next sync"
        raise GitopsError([Problem("", 0, 0, what, mend)]) from error
