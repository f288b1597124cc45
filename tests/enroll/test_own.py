"""What a box's agent asks once the box is in: held by the fake, and by Consul and OpenBao behind a gateway."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from ritilib.box.clock import Clock, Window
from ritilib.box.gateway import Gateway
from ritilib.box.own import Document, GatewayOwn, OwnServers
from ritilib.clients.vault import KV_MOUNT, Vault
from ritilib.errors import Denied
from ritilib.render.names import UnitNames
from tests.enroll.gate import Authority, run_gate
from tests.enroll.servers import Light
from tests.fakes.own import FakeOwn

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Bench(ABC):
    """Servers and good tokens for them."""

    def __init__(self, own: OwnServers, consul: str, vault: str) -> None:
        self.own, self.consul, self.vault = own, consul, vault

    @abstractmethod
    def write_document(self, document: Document) -> None:
        """As the controller writes it."""

    @abstractmethod
    def list_checks(self) -> list[str]:
        """The status of the box's checks, as Consul shows them."""


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeOwn()
        vault, consul = self.fake.sign_in()
        super().__init__(self.fake, consul, vault)

    def write_document(self, document: Document) -> None:
        self.fake.document = document

    def list_checks(self) -> list[str]:
        return [self.fake.checks[-1][0]] if self.fake.checks else []


class RealBench(Bench):
    def __init__(self, light: Light, names: UnitNames, own: GatewayOwn) -> None:
        super().__init__(own, light.settings.consul.token, light.settings.vault.token)
        self.light, self.names = light, names

    def write_document(self, document: Document) -> None:
        Vault(self.light.settings).write_document(
            self.names.box_document, dict(document.data), document.version - 1
        )

    def list_checks(self) -> list[str]:
        server = self.light.settings.consul
        answer = requests.get(
            f"{server.address}/v1/agent/checks", headers={"X-Consul-Token": server.token}, timeout=30
        )
        return [one["Status"] for one in answer.json().values() if one["ServiceID"] == self.names.box_role]


@pytest.fixture
def names(fleet: str) -> UnitNames:
    return UnitNames(fleet, "acme", "salto")


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest, names: UnitNames, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    light: Light = request.getfixturevalue("light")
    Vault(light.settings).enable_kv(KV_MOUNT)
    authority = Authority(tmp_path)
    shown = authority.sign(NOW - DAY, NOW + DAY)
    consul, vault = light.settings.consul.address, light.settings.vault.address
    with run_gate(authority.sign(NOW - DAY, NOW + DAY), consul, vault, authority.pem) as gate:
        gateway = Gateway([gate.address], authority.pem, Clock(Window(NOW - DAY, NOW + DAY)))
        own = GatewayOwn(gateway, names)
        own.use_certificate(shown, shown)
        yield RealBench(light, names, own)
        gateway.close()


def test_a_key_is_written_read_and_waited_for(bench: Bench, names: UnitNames) -> None:
    key = names.box_report
    before = bench.own.watch(bench.consul, key, 0)
    assert not before.is_there
    assert bench.own.put(bench.consul, key, "ñ".encode())
    found = bench.own.watch(bench.consul, key, 0)
    assert (found.is_there, found.data) == (True, "ñ".encode())
    assert not bench.own.put(bench.consul, key, b"lost", 0)
    assert bench.own.put(bench.consul, key, b"2", found.index)
    again = bench.own.watch(bench.consul, key, found.moved)
    assert again.data == b"2" and again.moved > found.moved


def test_a_watch_ends_when_the_key_is_written(bench: Bench, names: UnitNames) -> None:
    key = names.box_report
    bench.own.put(bench.consul, key, b"1")
    moved = bench.own.watch(bench.consul, key, 0).moved
    writer = FakeOwn.put if isinstance(bench, FakeBench) else None
    seen: list[bytes] = []
    waiting = threading.Thread(target=lambda: seen.append(bench.own.watch(bench.consul, key, moved).data))
    waiting.start()
    if writer:
        writer(bench.own, bench.consul, key, b"2")  # type: ignore[arg-type]
    else:
        assert isinstance(bench, RealBench)
        server = bench.light.settings.consul
        url = f"{server.address}/v1/kv/{key}"
        requests.put(url, b"2", headers={"X-Consul-Token": server.token}, timeout=30).raise_for_status()
    waiting.join()
    assert seen == [b"2"]


def test_a_document_has_its_version(bench: Bench) -> None:
    assert bench.own.read_document(bench.vault) is None
    bench.write_document(Document(1, {"phones": {"101": "x"}}))
    bench.write_document(Document(2, {"phones": {"101": "y"}}))
    assert bench.own.read_document(bench.vault) == Document(2, {"phones": {"101": "y"}})


def test_a_check_is_known_after_it_was_registered(bench: Bench) -> None:
    assert not bench.own.tell_check(bench.consul, "passing", "well")
    bench.own.register(bench.consul, 200.0)
    assert bench.own.tell_check(bench.consul, "passing", "riti 0.1, link up, 48 °C")
    assert bench.list_checks() == ["passing"]
    assert bench.own.tell_check(bench.consul, "warning", "no adapter")
    assert bench.list_checks() == ["warning"]


def test_a_wrong_token_is_denied(bench: Bench, names: UnitNames) -> None:
    wrong = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(Denied):
        bench.own.put(wrong, names.box_report, b"x")
    with pytest.raises(Denied):
        bench.own.read_document(wrong)
    with pytest.raises(Denied):
        bench.own.register(wrong, 200.0)
