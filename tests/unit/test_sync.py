"""A cycle of the controller on fakes: died at every single write, and everything else that servers are too slow for.

tests/contract holds the fakes to the real servers; tests/integration/test_sync_killed.py kills the real process.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.devstack.folders import find_cache
from ritilib.devstack.machine.setup import set_up
from ritilib.errors import GitopsError, Unreachable
from ritilib.fleet.load import load_fleet
from ritilib.gitops.desired import Desired, Unit
from ritilib.reconcile.state import hash_text
from ritilib.render.tree import render_tree
from ritilib.sync.once import sync_once
from ritilib.sync.synced import Synced
from ritilib.sync.unit.apply import Servers
from ritilib.sync.unit.secrets import OVERLAYS
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.fakes.nomad import FakeNomad
from tests.fakes.vault import FakeVault
from tests.unit.fleets import FLEET, FLEET_ID, SALTO, make_files


@pytest.fixture(scope="module")
def overlay() -> OverlayTool:
    return OverlayTool(set_up(find_cache(), print).nebula_cert)


@pytest.fixture(scope="module")
def authority(overlay: OverlayTool) -> Authority:
    return overlay.make_authority("demo", 24 * 365)


def make_desired(commit: str = "c1", root: str = "root", **changed: str) -> Desired:
    """What `read_desired` brings for the test fleet's files."""
    files = make_files(**changed)
    loaded = load_fleet(files)
    tree = render_tree(loaded, files, "test")
    units: dict[str, dict[str, str]] = {}
    for path, text in tree.items():
        parts = path.split("/", 3)
        if parts[0] == "rendered" and len(parts) == 4:
            key = f"{parts[1]}/{parts[2]}".replace("_fleet/lighthouse-", "lighthouse/")
            units.setdefault(key, {})[parts[3]] = text
    made = tuple(
        Unit(key, "lighthouse" if key.startswith("lighthouse") else "pbx", texts)
        for key, texts in sorted(units.items())
    )
    return Desired("demo", FLEET_ID, root, commit, made, ())


@dataclass
class World:
    """The three fakes with one journal, and one way to sync them."""

    overlay: OverlayTool
    authority: Authority
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self.nomad, self.consul = FakeNomad(self.journal), FakeConsul(self.journal)
        self.vault = FakeVault(self.journal)
        self.vault.enable_kv("riti")
        self.vault.enable_transit("riti-transit")
        self.vault.keys["demo"] = b"one key for all worlds, so that their secrets can be compared"
        self.vault.enable_jwt("jwt-nomad", "http://127.0.0.1/jwks")
        self.calls: dict[str, int] = {}  # key → channels on that PBX
        self.mute: set[str] = set()  # keys of PBXes that do not take up what is written
        self.heard: dict[str, dict[str, str]] = {}
        self.nomad.read_file = self.speak
        self.journal.writes.clear()

    def speak(self, allocation: str, path: str) -> bytes | None:
        """The word of a PBX that has in force what Consul holds, as jobs/pbx/watcher writes it."""
        if path == "alloc/data/taken":
            return None  # what was started before there were pairs
        assert path == "alloc/data/pbx.json"
        [job_id] = [
            job for job, made in self.nomad.allocations.items() if allocation in {one.id for one in made}
        ]
        key = "/".join(job_id.split("--")[1:])
        entry = self.consul.read(f"riti/demo/pbx/{key}/1")
        if entry and key not in self.mute:
            texts = json.loads(entry.value)["files"]
            self.heard[key] = {name: hash_text(text) for name, text in texts.items()}
        calls = self.calls.get(key, 0)
        said = {
            "status": "busy" if calls else "idle",
            "channels": calls,
            "acknowledged": {name: {"sha256": text} for name, text in self.heard.get(key, {}).items()},
            "unacknowledged": {},
        }
        return json.dumps(said).encode()

    def sync(self, desired: Desired, *may_replace: str) -> Synced:
        servers = Servers(self.nomad, self.consul, self.vault, self.overlay, lambda: self.authority)
        return sync_once(desired, servers, may_replace, lambda _line: None)

    def sync_until_write(self, desired: Desired, last: int) -> None:
        """Die at the write number `last`."""
        self.journal.writes.clear()
        with self.journal.die_at(last):
            self.sync(desired)

    def describe(self) -> dict[str, Any]:
        """The state without what must differ between two worlds: indexes, times, and random keys."""
        keys = self.consul.read_tree("riti/").entries
        documents = {}
        for kind in (
            "pbx/acme/montevideo",
            "pbx/acme/salto",
            "box/acme/montevideo",
            "box/acme/salto",
            "lighthouse/one",
        ):
            document = self.vault.read_document(f"demo/{kind}")
            data = copy.deepcopy(dict(document.data)) if document else {}
            for identity in OVERLAYS:
                if identity in data:
                    found = self.overlay.read_certificate(data[identity]["crt"])
                    data[identity] = (found.name, found.networks, found.groups)
            documents[kind] = data
        jobs = {job_id: job.get("Version") for job_id, job in self.nomad.jobs.items()}
        live = {entry.key: entry.value for entry in keys if "/pbx/" in entry.key}
        return {"documents": documents, "jobs": jobs, "live": live, "keys": [entry.key for entry in keys]}


@pytest.fixture
def world(overlay: OverlayTool, authority: Authority) -> World:
    return World(overlay, authority)


CHANGED = SALTO + '  - {number: "202", name: Taller, phone: sip}\n'


def count_writes(world: World, *commits: Desired) -> int:
    for desired in commits:
        world.journal.writes.clear()
        world.sync(desired)
    return len(world.journal.writes)


def test_the_second_sync_asks_three_things_and_writes_nothing(world: World) -> None:
    desired = make_desired()
    assert len(world.sync(desired).changed) == 3
    world.journal.requests.clear()
    world.journal.writes.clear()
    done = world.sync(desired)
    assert (done.changed, done.unchanged, done.is_clean) == ((), 3, True)
    assert len(world.journal.requests) == 3
    assert world.journal.writes == []


def test_died_at_any_write_of_the_first_sync_it_ends_in_the_same_state(
    overlay: OverlayTool, authority: Authority
) -> None:
    desired = make_desired()
    whole = World(overlay, authority)
    last = count_writes(whole, desired)
    assert last > 20
    for number in range(1, last + 1):
        world = World(overlay, authority)
        world.sync_until_write(desired, number)
        assert world.sync(desired).is_clean
        assert world.describe() == whole.describe(), f"died at write {number}"
        world.journal.writes.clear()
        world.sync(desired)
        assert world.journal.writes == [], f"not at rest after a death at write {number}"


def test_died_at_any_write_of_a_change_it_ends_in_the_same_state(
    overlay: OverlayTool, authority: Authority
) -> None:
    first, second = make_desired(), make_desired("c2", salto=CHANGED)
    whole = World(overlay, authority)
    last = count_writes(whole, first, second)
    assert last > 4
    for number in range(1, last + 1):
        world = World(overlay, authority)
        world.sync(first)
        world.sync_until_write(second, number)
        assert world.sync(second).is_clean
        assert world.describe() == whole.describe(), f"died at write {number}"


def test_both_ends_of_a_pair_have_the_same_secret_and_no_two_pairs_do(world: World) -> None:
    world.sync(make_desired())
    found = {
        key: dict(document.data["iax"])
        for key in ("pbx/acme/montevideo", "pbx/acme/salto", "box/acme/montevideo", "box/acme/salto")
        if (document := world.vault.read_document(f"demo/{key}"))
    }
    assert found["pbx/acme/montevideo"]["pbx-salto"] == found["pbx/acme/salto"]["pbx-montevideo"]
    assert found["pbx/acme/salto"]["box"] == found["box/acme/salto"]["cloud"]
    three = {
        found["pbx/acme/salto"]["box"],
        found["pbx/acme/montevideo"]["box"],
        found["pbx/acme/salto"]["pbx-montevideo"],
    }
    assert len(three) == 3


def test_other_secrets_are_a_new_version_that_the_live_value_names(world: World) -> None:
    world.sync(make_desired())
    before = world.vault.read_document("demo/pbx/acme/montevideo")
    third = make_desired("c2", rivera=SALTO.replace("201", "401").replace("4733", "4622"))
    world.sync(third)
    after = world.vault.read_document("demo/pbx/acme/montevideo")
    live = world.consul.read("riti/demo/pbx/acme/montevideo/1")
    assert before and after and live
    assert set(after.data["iax"]) - set(before.data["iax"]) == {"pbx-rivera"}
    assert before.data["overlay"] == after.data["overlay"], "a new peer makes no new identity"
    assert f'"secrets_version": {after.version}'.encode() in live.value


def test_a_unit_with_calls_gets_nothing_and_a_word_gives_it_all(world: World) -> None:
    world.sync(make_desired())
    before = world.describe()
    moved = make_desired("c2", fleet=FLEET.replace("riti/pbx:dev", "riti/pbx:next"), salto=CHANGED)
    world.calls = {"acme/montevideo": 2, "acme/salto": 1}
    world.journal.writes.clear()
    done = world.sync(moved)
    assert [problem.what for problem in done.held if "acme/salto is held back" in problem.what]
    assert (done.changed, world.journal.writes) == ((), [])
    assert world.describe() == before
    done = world.sync(moved, "acme/montevideo", "acme/salto")
    assert done.changed == ("acme/montevideo", "acme/salto")
    assert b"202" in next(value for key, value in world.describe()["live"].items() if "montevideo" in key)


def test_a_unit_that_does_not_exist_cannot_be_replaced(world: World) -> None:
    with pytest.raises(GitopsError, match="there is no unit acme/montevido"):
        world.sync(make_desired(), "acme/montevido")


def test_a_server_that_goes_away_meanwhile_ends_the_cycle_with_what_was_found(world: World) -> None:
    def vanish(words: str) -> None:
        if "acme/montevideo" in words:
            raise Unreachable.because("Consul does not answer", "start it")

    world.journal.on_write = vanish
    done = world.sync(make_desired())
    assert done.changed == ("lighthouse/one",)
    assert [problem.what for problem in done.problems] == ["acme/montevideo: Consul does not answer"]


def test_a_repository_with_another_root_is_refused_before_anything_is_written(world: World) -> None:
    world.sync(make_desired())
    world.journal.writes.clear()
    with pytest.raises(GitopsError, match="belongs to another repository"):
        world.sync(make_desired(root="elsewhere"))
    assert world.journal.writes == []


def test_a_job_that_is_not_ours_is_left_as_it_is(world: World) -> None:
    foreign = world.nomad.parse('job "demo--acme--salto" {\n  type = "service"\n}\n')
    world.nomad.register(foreign, 0)
    before = world.nomad.read_job("demo--acme--salto")
    done = world.sync(make_desired())
    assert [problem.what for problem in done.problems if "does not carry this fleet's mark" in problem.what]
    assert world.nomad.read_job("demo--acme--salto") == before
    assert "acme/montevideo" in done.changed


@pytest.mark.parametrize("moment", ["acme/montevideo/1", "acme/salto/1"])
def test_a_value_changed_by_hand_while_a_sync_writes_is_put_right_by_the_next(
    world: World, moment: str
) -> None:
    """Before our own last write its index hides in ours, after it it stands out."""
    world.sync(make_desired())
    key = "riti/demo/pbx/lighthouse/one/1"

    def meddle(words: str) -> None:
        if f"pbx/{moment}" in words:
            world.journal.on_write = lambda _words: None
            held = world.consul.read(key)
            assert held is not None
            world.consul.write(key, b"{}", held.modify_index)

    world.journal.on_write = meddle
    changed = make_desired("c2", salto=CHANGED)
    world.sync(changed)
    meddled = world.consul.read(key)
    assert meddled is not None and meddled.value == b"{}"
    world.sync(changed)
    mended = world.consul.read(key)
    assert mended is not None and mended.value != b"{}"
