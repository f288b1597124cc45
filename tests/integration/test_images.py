"""A rollout of another image on a real Consul: the controller tells, a box with its own rights reads and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.box.image import Progress
from ritilib.clients.consul import Consul
from ritilib.clients.settings import NOBODY, Server, Settings
from ritilib.devstack.machine.recipe import CONSUL
from ritilib.devstack.processes import end_process
from ritilib.devstack.record import Record, new_record
from ritilib.devstack.servers import consul as servers
from ritilib.errors import Conflict, Denied
from ritilib.reconcile.image_value import read_image_value
from ritilib.reconcile.images import LOOK
from ritilib.render.names import UnitNames
from ritilib.render.policies import CONSUL_POLICY, render_box_policies
from ritilib.sync.images import AT_ONCE, Rolled, roll_images
from tests.enroll.servers import find_program
from tests.unit.replacing import make_desired
from tests.unit.test_sync_images import name_image

DEADLINE_S = 60.0
KEYS = [f"acme/b{number}" for number in range(AT_ONCE + 20)]
START = datetime(2026, 11, 30, 3, tzinfo=UTC)
PAUSE = timedelta(minutes=10)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    state = tmp_path_factory.mktemp("consul")
    (state / "logs").mkdir()
    made = new_record()
    process = servers.start_consul(find_program(CONSUL, "consul"), made, state)
    try:
        servers.prepare_consul(made, state)
        yield made
    finally:
        end_process(process, DEADLINE_S)


def connect(record: Record, token: str) -> Consul:
    return Consul(Settings(NOBODY, Server(record.consul_address, token), NOBODY))


def name(key: str) -> UnitNames:
    return UnitNames("demo", *key.split("/"))


def test_more_boxes_than_one_transaction_takes_are_told_wave_by_wave(record: Record) -> None:
    consul = connect(record, record.consul_token)
    desired, now = name_image(make_desired("c1", "one", boxes=KEYS)), START

    def report(key: str, version: str) -> None:
        progress = Progress(version, "A", committed=True)
        said = {"version": "1", "link": "up", "update": vars(progress)}
        consul.put(name(key).box_report, json.dumps(said).encode())

    def roll() -> Rolled:
        return roll_images(desired, (), consul, now, lambda: True, lambda _line: None)

    def list_told() -> set[str]:
        return {key for key in KEYS if consul.read(name(key).box_image)}

    for key in KEYS:
        report(key, "1.2.3")
    sizes = []
    for _ in range(3):
        roll()
        sizes.append(len(list_told()))
        for key in list_told():
            report(key, "1.2.4")
        now += LOOK
        assert roll().problems == ()
        now += PAUSE
    assert sizes == [1, 36, len(KEYS)]  # one canary, half of the others rounded up, the rest
    last = roll()
    assert (last.told, last.held, last.due) == ((), (), None)
    entry = consul.read(name(KEYS[0]).box_image)
    assert entry and read_image_value(entry.value).judged == "good"


def test_a_writer_in_between_wins_and_the_next_look_goes_on_from_there(record: Record) -> None:
    consul = connect(record, record.consul_token)
    desired = name_image(make_desired("c2", "one", boxes=["zorro/d"]))
    place = name("zorro/d").box_image
    said = {"version": "1", "link": "up", "update": vars(Progress("1.2.3", "A", committed=True))}
    consul.put(name("zorro/d").box_report, json.dumps(said).encode())

    def cut_in() -> bool:
        consul.put(place, b"another leader's")
        return True

    with pytest.raises(Conflict):
        roll_images(desired, (), consul, START, cut_in, lambda _line: None)
    roll_images(desired, (), consul, START, lambda: True, lambda _line: None)
    entry = consul.read(place)
    assert entry and read_image_value(entry.value).name == "1.2.4"


def test_a_box_reads_its_own_and_no_more_and_writes_none(record: Record) -> None:
    management = connect(record, record.consul_token)
    own, other = name("acme/salto"), name("acme/rivera")
    for names in (own, other):
        management.put(names.box_image, b"which image")
    management.put_policy("box-of-salto", render_box_policies(own)[CONSUL_POLICY], "a test's")
    box = connect(record, management.create_token(("box-of-salto",), "a test's"))
    entry = box.read(own.box_image)
    assert entry and entry.value == b"which image"
    with pytest.raises(Denied):
        box.put(own.box_image, b"another image")
    with pytest.raises(Denied):
        box.read(other.box_image)
