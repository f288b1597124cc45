"""The agent's threads together: what its servers say comes into force on the box, with and without a network."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ritilib.box.agent import BLOCKED, Agent, Box, Place
from ritilib.box.candidate import Trial
from ritilib.box.kept import Generation
from ritilib.box.own import Access, Document
from ritilib.box.showing import Shown
from ritilib.box.store import Store
from ritilib.box.updating import ASK_UPDATE, ImagePlaces
from ritilib.reconcile.image_value import ImageValue
from tests.fakes.own import FakeOwn
from tests.unit.box.inside import NAMES, wait
from tests.unit.test_box_live import SECRETS, write_value
from tests.unit.test_box_swap import NEW, OLD


class Joined:
    """A box's way in: told step by step by the test."""

    def __init__(self, show: Callable[[Shown], None]) -> None:
        self.show = show

    def run(self, is_once: bool = False) -> Shown:
        return Shown("in", "acme/salto", "", "", "")


class Running:
    """An agent that steps when the test says so; its threads run."""

    def __init__(self, data: Path, servers: FakeOwn, image: ImagePlaces | None = None) -> None:
        data.mkdir(exist_ok=True)
        for name in ("identity.crt", "overlay.key", "overlay.crt", "overlay-ca.crt"):
            (data / name).write_text(f"{name} 1")
        self.data, self.servers = data, servers
        self.said: list[str] = []
        self.agent = Agent(
            Box(NAMES, "0.1", "riti 7", "100"),
            Place(data, data / "watcher.json", image=image),
            Access(lambda: servers, lambda: True),
            Joined,
            lambda _files, _usual: Trial(0.1, (), True),
            self.said.append,
            lambda: 0.0,
        )
        self.thread = threading.Thread(target=self.agent.run)
        self.thread.start()

    def end(self) -> None:
        self.agent.is_ending = True
        self.thread.join()

    def read(self, path: str) -> str:
        try:
            return (self.data / path).read_text()
        except FileNotFoundError:
            return ""


@pytest.fixture
def running(tmp_path: Path, servers: FakeOwn) -> Iterator[Running]:
    servers.set(NAMES.box_kv_key, write_value(dict(OLD)))
    made = Running(tmp_path / "data", servers)
    yield made
    made.end()


def test_an_agent_brings_value_overlay_and_block_list_into_force(running: Running, servers: FakeOwn) -> None:
    wait(lambda: running.read("overlay/overlay.yml") == OLD["overlay.yml"])
    assert running.read("configuration/asterisk/iax.conf").startswith("; secrets version 3\n")
    assert running.read("overlay/host.key") == "overlay.key 1"
    servers.set("riti/fleet/blocked", json.dumps(["ab" * 32]).encode())
    wait(lambda: "ab" * 32 in running.read("overlay/overlay.yml"))
    # a list that is none leaves the one that is in force
    servers.set("riti/fleet/blocked", b'["x"]')
    wait(lambda: b"what is no fingerprint" in servers.values[NAMES.box_report].data)
    assert "ab" * 32 in running.read("overlay/overlay.yml")
    # a renewed certificate
    (running.data / "overlay.crt").write_text("overlay.crt 2")
    wait(lambda: running.read("overlay/host.crt") == "overlay.crt 2")


def test_an_agent_trusts_whom_its_document_names_and_says_so(running: Running, servers: FakeOwn) -> None:
    wait(lambda: running.read("overlay/overlay.yml") != "")
    both = "-----BEGIN NEBULA CERTIFICATE V2-----\none and other\n"
    told = {"ca": both, "edition": 2, "authority": 1, "renew_from": ""}
    servers.document = Document(4, {**SECRETS, "overlay": told})
    servers.set(NAMES.box_kv_key, write_value(dict(NEW)))

    def read_report() -> dict[str, object]:
        held = servers.values.get(NAMES.box_report)
        return dict(json.loads(held.data)) if held else {}

    wait(lambda: running.read("overlay/ca.crt") == both)
    wait(lambda: read_report().get("overlay_edition") == 2)
    # what cannot be understood leaves what is trusted, and the rest of the document is taken
    servers.document = Document(5, {**SECRETS, "overlay": {**told, "edition": 3, "ca": "nobody"}})
    servers.set(NAMES.box_kv_key, write_value(dict(OLD), secrets_version=5))
    wait(lambda: "names no authority" in str(read_report().get("why")))
    assert running.read("overlay/ca.crt") == both and read_report()["overlay_edition"] == 2


def test_the_cloud_follows_the_generation_of_its_pbx_also_without_a_network(
    tmp_path: Path, servers: FakeOwn
) -> None:
    pair = "[cloud.0](!)\nhost=100.80.0.6\n[cloud.1](!)\nhost=100.80.0.7\n[cloud](cloud-secret,cloud.0)\n"
    files = dict(OLD) | {"etc/iax.conf": pair}
    servers.set(NAMES.box_kv_key, write_value(files))
    first = Running(tmp_path / "data", servers)
    # its own identity has a generation too, by which a copy of the box is known
    store = Store(tmp_path / "data")
    store.keep_generation(Generation("held", "next"))
    place = "configuration/asterisk/iax.conf"
    try:
        wait(lambda: "[cloud](cloud-secret,cloud.0)" in first.read(place))
        servers.set(NAMES.generation, b'{"generation": 3, "held": ["2 a ended", "3 b"]}')
        wait(lambda: "[cloud](cloud-secret,cloud.1)" in first.read(place))
    finally:
        first.end()
    assert store.load().generation == Generation("held", "next")
    again = Running(tmp_path / "data", servers)
    try:
        wait(lambda: again.read("agent.json") != "")
        assert "[cloud](cloud-secret,cloud.1)" in again.read(place)
        servers.set(NAMES.generation, b'{"generation": 4, "held": ["4 c", "3 b ended"]}')
        wait(lambda: "[cloud](cloud-secret,cloud.0)" in again.read(place))
    finally:
        again.end()


def test_the_block_list_is_kept_without_a_network(running: Running, servers: FakeOwn) -> None:
    servers.set("riti/fleet/blocked", json.dumps(["cd" * 32]).encode())
    wait(lambda: "cd" * 32 in running.read("overlay/overlay.yml"))
    running.end()
    assert json.loads(running.read(BLOCKED)) == ["cd" * 32]
    away = FakeOwn()
    away.is_away = True
    again = Running(running.data, away)
    try:
        wait(lambda: "the overlay has" in " ".join(again.said) or again.read("agent.json") != "")
        assert "cd" * 32 in again.read("overlay/overlay.yml")
    finally:
        again.end()


def test_a_value_whose_secrets_are_not_there_yet_waits_for_them(running: Running, servers: FakeOwn) -> None:
    wait(lambda: running.read("overlay/overlay.yml") != "")
    servers.document = Document(3, {"iax": {}, "phones": {}})
    servers.set(NAMES.box_kv_key, write_value(dict(NEW)))

    def why() -> str:
        held = servers.values.get(NAMES.box_report)
        return str(json.loads(held.data)["why"]) if held else ""

    wait(lambda: "waits for its secrets" in why() and "[cloud-secret]" in why())
    servers.document = Document(3, SECRETS)
    wait(lambda: "exten => 2" in running.read("configuration/asterisk/extensions.conf"))
    wait(lambda: "waits for its secrets" not in why())


def test_another_image_is_asked_for_and_told_and_touches_nothing_else(
    tmp_path: Path, servers: FakeOwn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ritilib.box.agent.IMAGE_S", 0.05)
    monkeypatch.setattr("ritilib.box.image.SILENT_S", 0.0)  # no watcher runs here
    said = {"version": "1.2.3", "slot": "A", "committed": True, "installed": "", "failed": ""}
    (tmp_path / "status.json").write_text(json.dumps(said))
    servers.set(NAMES.box_kv_key, write_value(dict(OLD)))
    told = ImageValue(version="1.2.4", bundles="http://10.0.0.5/riti", told_at=datetime.now(UTC))
    servers.set(NAMES.box_image, told.encode())
    places = ImagePlaces(tmp_path, tmp_path / "status.json", tmp_path / "said.json")
    running = Running(tmp_path / "data", servers, places)

    def read_update() -> dict[str, object]:
        held = servers.values.get(NAMES.box_report)
        return dict(json.loads(held.data)["update"] or {}) if held else {}

    try:
        wait(lambda: (tmp_path / ASK_UPDATE).exists() and read_update().get("state") == "installing")
        wait(lambda: running.read("overlay/overlay.yml") == OLD["overlay.yml"])
        current = (running.data / "configuration/current").readlink()
        # what is none leaves what was wished, and says so
        servers.set(NAMES.box_image, b"latest, please")
        wait(lambda: b"what is said of its image" in servers.values[NAMES.box_report].data)
        assert read_update()["wished"] == "1.2.4"
        servers.set(NAMES.box_image, told.model_copy(update={"version": "1.2.3"}).encode())
        wait(lambda: read_update().get("wished") == "1.2.3" and read_update().get("state") == "")
        assert (running.data / "configuration/current").readlink() == current
    finally:
        running.end()
