"""The small world of `removing`, in which the links of a company get new secrets: who has which of them in force."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations

from ritilib.gitops.desired import Desired
from ritilib.reconcile.state import Record, read_record
from ritilib.render.names import split_secrets
from tests.unit import removing
from tests.unit.removing import name

BOXES = ("acme/a", "acme/b", "acme/c")


def make_desired(commit: str, generation: int, keys: Collection[str] = BOXES) -> Desired:
    """A commit whose PBXes and boxes all have links with one another."""
    made = removing.make_desired(commit, keys)
    links = {"links": generation} if generation != 1 else {}
    units = []
    for unit in made.units:
        others = [key for key in keys if key != unit.key]
        files = dict(unit.files)
        for kind, home in (("pbx", "box"), ("box", "cloud")):
            own = sorted([f"box/{unit.key}", f"pbx/{unit.key}"])
            pairs = {f"{kind}-{key.split('/')[1]}": [f"{kind}/{unit.key}", f"{kind}/{key}"] for key in others}
            said = json.loads(files[f"{kind}/secrets.json"]) | links | {"pairs": {home: own, **pairs}}
            files[f"{kind}/secrets.json"] = json.dumps(said)
        units.append(replace(unit, files=files))
    return replace(made, units=tuple(units))


@dataclass
class World(removing.World):
    """force: (kind, key) → the version of its document that is in force with a PBX or a box, and its secrets.

    silent: boxes that say nothing of themselves.
    """

    force: dict[tuple[str, str], tuple[int, Mapping[str, str]]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def take_up(self, kind: str, key: str) -> None:
        """A PBX reloads what its value names, or a box what Vault holds for it; it says so."""
        names = name(key)
        entry = self.consul.entries.get(names.kv_key)
        document = self.vault.read_document(names.document if kind == "pbx" else names.box_document)
        if entry is None or document is None:
            return
        version = json.loads(entry.value)["secrets_version"] if kind == "pbx" else document.version
        data = self.vault.documents[names.document if kind == "pbx" else names.box_document].data[version - 1]
        assert data is not None
        self.force[kind, key] = (version, data["iax"])
        if kind == "box" and key not in self.silent:
            self.consul.put(names.box_word, self._say(version))

    def take_all_up(self, keys: Collection[str] = BOXES) -> None:
        for key in keys:
            for kind in ("pbx", "box"):
                self.take_up(kind, key)

    def find_cuts(self) -> list[str]:
        """Every link that is there at both ends and over which a call would not get through."""
        cuts = []
        for (kind, key), (other_kind, other) in permutations(self.force, 2):
            if key == other:
                section, back = ("box", "cloud") if kind == "pbx" else ("cloud", "box")
            elif kind == other_kind:
                section, back = f"{kind}-{other.split('/')[1]}", f"{kind}-{key.split('/')[1]}"
            else:
                continue
            _, mine = self.force[kind, key]
            _, theirs = self.force[other_kind, other]
            if section not in mine or back not in theirs:
                continue  # one of them does not know the other yet
            if split_secrets(mine[section])[-1] not in split_secrets(theirs[back]):
                cuts.append(f"{kind} {key} calls {other_kind} {other}")
        return cuts

    def count_secrets(self, kind: str, key: str) -> int:
        """How many a link of it has in force."""
        _, mine = self.force[kind, key]
        return len(split_secrets(next(iter(mine.values()))))

    def read_record(self, key: str) -> Record:
        entry = self.consul.entries[f"riti/demo/inventory/{key}"]
        return read_record(entry.key, entry.value)

    def lose_inventory(self, keys: Collection[str] = BOXES) -> None:
        for key in keys:
            self.consul.entries.pop(f"riti/demo/inventory/{key}", None)

    def _say(self, version: int, link: str = "up") -> bytes:
        acknowledged = {"iax.conf": {"sha256": "0" * 64, "secrets": version}}
        said = {
            "status": "idle",
            "channels": 0,
            "acknowledged": acknowledged,
            "unacknowledged": {},
            "link": link,
        }
        return json.dumps(said).encode()

    def _speak(self, allocation: str, path: str) -> bytes | None:
        [job_id] = [
            job for job, made in self.nomad.allocations.items() if allocation in {one.id for one in made}
        ]
        key = "/".join(job_id.split("--")[1:])
        if ("pbx", key) not in self.force:
            return None
        return self._say(self.force["pbx", key][0], "up" if ("box", key) in self.force else "down")
