"""A small world in which units leave the manifest: the fakes, a clock that a test sets, and commits made of keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from ritilib.clients.nebula import Authority, Certificate, Key, OverlayTool
from ritilib.errors import Problem
from ritilib.gitops.desired import Desired, Unit
from ritilib.reconcile.state import hash_text
from ritilib.render.names import OPEN_DOOR, UnitNames
from ritilib.sync.once import sync_once
from ritilib.sync.synced import Synced
from ritilib.sync.unit.apply import Servers
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.fakes.nomad import FakeNomad
from tests.fakes.vault import FakeVault

FLEET_ID = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
START = datetime(2026, 11, 23, tzinfo=UTC)
GRACE = timedelta(minutes=10)
WEEK = timedelta(days=7)
JOB = """\
job "{job_id}" {{
  type = "service"
  meta = {{
    "riti.fleet" = "{fleet_id}"
    "riti.box"   = "{key}"
  }}
  group "pbx" {{
    task "pbx" {{
    }}
  }}
}}
"""


def name(key: str) -> UnitNames:
    return UnitNames("demo", *key.split("/"))


def make_unit(key: str) -> Unit:
    """A unit with the files that a sync needs, and nothing in them that a sync does not read."""
    overlay = {"name": key, "network": "100.80.0.5/16", "groups": [key.split("/")[0]]}
    secrets = json.dumps({"overlay": overlay, "pairs": {"box": [key, f"{key} box"]}, "generation": 1})
    files = {
        "pbx/job.nomad.hcl": JOB.format(job_id=name(key).job_id, fleet_id=FLEET_ID, key=key),
        "pbx/live/extensions.conf": f"; {key}\n{OPEN_DOOR}",
        "pbx/secrets.json": secrets,
        "pbx/consul-policy.hcl": f'key "{name(key).kv_key}" {{ policy = "read" }}\n',
        "pbx/vault-policy.hcl": f'path "{name(key).vault_path}" {{ capabilities = ["read"] }}\n',
    }
    if key.startswith("lighthouse/"):
        return Unit(key, "lighthouse", files)
    box = {"phones": [], "pairs": {"cloud": [key, f"{key} box"]}, "generation": 1}
    files |= {"box/secrets.json": json.dumps(box), "box/etc/iax.conf": f"; the box of {key}\n"}
    return Unit(key, "pbx", files)


def make_desired(
    commit: str, keys: Collection[str], removals: Collection[str] = (), stale: Collection[str] = ()
) -> Desired:
    """A commit with these units, of which those of the stale companies ("_fleet" too) are held."""
    homes = {"lighthouse" if company == "_fleet" else company for company in stale}
    units = tuple(make_unit(key) for key in sorted(keys) if key.split("/")[0] not in homes)
    held = tuple((company, Problem("", 0, 0, f"{company} is stale", "render")) for company in sorted(stale))
    approved = () if "_fleet" in stale else tuple(sorted(removals))
    return Desired("demo", FLEET_ID, "root", commit, units, held, approved)


class PaperTool:
    """An OverlayTool whose certificates are what they say, in JSON."""

    def make_key(self) -> Key:
        return Key("private", "public")

    def sign(
        self,
        authority: Authority,
        public_key: str,
        name: str,
        network: str,
        groups: tuple[str, ...],
        hours: int,
    ) -> str:
        return json.dumps({"name": name, "networks": [network], "groups": list(groups)})

    def read_certificate(self, crt: str) -> Certificate:
        said = json.loads(crt)
        found = SimpleNamespace(
            name=said["name"],
            networks=tuple(said["networks"]),
            groups=tuple(said["groups"]),
            not_after=START + timedelta(days=3650),
        )
        return cast(Certificate, found)


@dataclass
class World:
    """The fakes and a clock. newest: the commit that a sync finds when it looks again (None: the one it was given).

    calls: box → channels on its PBX. mute: boxes whose watcher does not take up what is written any more. arriving:
    boxes that take a call in the moment in which they are told to take none.
    """

    now: datetime = START
    newest: Desired | None = None
    journal: Journal = field(default_factory=Journal)
    on_removal: Callable[[str], None] = lambda words: None
    calls: dict[str, int] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    arriving: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.nomad, self.consul = FakeNomad(self.journal), FakeConsul(self.journal)
        self.vault = FakeVault(self.journal)
        self.vault.keys["demo"] = b"key"
        tool = cast(OverlayTool, PaperTool())
        self.servers = Servers(self.nomad, self.consul, self.vault, tool, lambda: Authority("ca", "key"))
        self.fleet: Desired = make_desired("none", ())
        self.nomad.read_file = self._speak
        self._heard: dict[str, dict[str, str]] = {}

    def sync(self, desired: Desired, floor: int = 0) -> Synced:
        return sync_once(
            desired,
            self.servers,
            (),
            lambda _line: None,
            newest=lambda known: self.newest or known,
            clock=lambda: self.now,
            floor=floor,
        )

    def pass_time(self, time: timedelta) -> None:
        self.now += time

    def is_running(self, key: str) -> bool:
        job = self.nomad.jobs.get(name(key).job_id)
        return job is not None and not job["Stop"]

    def edit(self, key: str, **changed: Any) -> None:
        """What a hand does with Nomad's own tool."""
        job = self.nomad.jobs[name(key).job_id]
        self.nomad.register({**job, **changed}, job["JobModifyIndex"])

    def list_traces(self, key: str) -> list[str]:
        """Whatever the three servers still show of a unit."""
        names = name(key)
        folders = ("pbx", "box", "generation", "image", "inventory")
        prefixes = tuple(f"riti/demo/{folder}/{key}/" for folder in folders)
        documents = (names.document, names.box_document)
        return [
            *(job_id for job_id in self.nomad.jobs if job_id == names.job_id),
            *(entry for entry in sorted(self.consul.entries) if f"{entry}/".startswith(prefixes)),
            *(one for one in (*self.consul.policies, *self.consul.roles) if one == names.role),
            *(one for one in self.vault.policies if one == names.role),
            *(one for _, one in self.vault.roles if one == names.role),
            *(path for path in documents if self.vault.read_document(path)),
        ]

    def read_plan(self, key: str) -> str:
        """The dial plan in Consul."""
        return str(json.loads(self.consul.entries[name(key).kv_key].value)["files"]["extensions.conf"])

    def _speak(self, allocation: str, path: str) -> bytes | None:
        """The word of a PBX's watcher, as jobs/pbx/watcher/state.go writes it."""
        if path == "alloc/data/taken":
            return None  # what was started before there were pairs
        assert path == "alloc/data/pbx.json"
        [job_id] = [
            job for job, made in self.nomad.allocations.items() if allocation in {one.id for one in made}
        ]
        key = "/".join(job_id.split("--")[1:])
        if key not in self.mute:
            files = json.loads(self.consul.entries[name(key).kv_key].value)["files"]
            self._heard[key] = {file: hash_text(text) for file, text in files.items()}
        if key in self.arriving and "Hangup(3)" in self.read_plan(key):
            self.calls[key] = 1
        calls = self.calls.get(key, 0)
        said = {
            "status": "busy" if calls else "idle",
            "channels": calls,
            "acknowledged": {file: {"sha256": text} for file, text in self._heard.get(key, {}).items()},
            "unacknowledged": {},
        }
        return json.dumps(said).encode()
