"""`riti sync` as the program that it is, on the real servers. Seconds are printed, and never judged."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ritilib.clients.consul import Consul, Entry
from ritilib.clients.settings import read_settings
from ritilib.devstack.controllers import DEADLINE_S, SECRET, Instance, start_controller
from ritilib.devstack.processes import poll, wait_until
from ritilib.devstack.stack import Stack
from ritilib.reconcile.leading import read_lead
from ritilib.reconcile.state import read_record
from ritilib.sync.lead.rights import Rights
from ritilib.sync.observe import Places
from tests.integration.fleets import Fleet, hold_image, know_author, make_fleet
from tests.integration.holdings import Holdings

QUIET_S = 1.5
KEY = "acme/salto"


@dataclass
class Lab:
    """A fleet of one office, and the controllers that a test starts."""

    fleet: Fleet
    consul: Consul
    folder: Path
    running: ExitStack
    instances: list[Instance] = field(default_factory=list)

    def start(self) -> Instance:
        """Polls once an hour: what is quick has another cause."""
        name = f"controller-{len(self.instances)}"
        options = ["--listen", "127.0.0.1:0", "--poll", "3600"]
        environ = {**self.fleet.controller, "RITI_HOOK_GITEA": SECRET}
        instance = start_controller(self.folder, name, str(self.fleet.forge), environ, options)
        self.running.callback(instance.end)
        self.instances.append(instance)
        return instance

    def merge(self, *numbers: str) -> str:
        with know_author():
            self.fleet.write_box(*KEY.split("/"), *numbers)
            return self.fleet.merge_change(f"telephones {', '.join(numbers)}")

    def read_value(self) -> Entry | None:
        return self.consul.read(self.fleet.names(KEY).kv_key)

    def measure(self, change: Callable[[], object], holds: Callable[[], bool], what: str, log: Path) -> None:
        """Make the change, and print how long it takes until something holds."""
        began = time.monotonic()
        change()
        wait_until(holds, DEADLINE_S, what, log)
        print(f"{what}: {time.monotonic() - began:.2f} s")

    def has_number(self, number: str) -> bool:
        entry = self.read_value()
        return entry is not None and number in json.loads(entry.value)["files"]["extensions.conf"]

    def is_led(self) -> bool:
        entry = self.consul.read(Rights(self.fleet.name).lock)
        return entry is not None and bool(entry.session)


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("served")
    with know_author():
        fleet = make_fleet(stack, folder, "served", 4312)
    with ExitStack() as running:
        made = Lab(fleet, Consul(read_settings(stack.environment())), folder, running)
        made.merge("201")
        yield made
    Holdings("served", stack.environment()).remove(folder / "log")


@pytest.fixture
def next_image(stack: Stack) -> Iterator[str]:
    with hold_image(stack, "served") as name:
        yield name


def test_a_merge_is_applied_and_it_says_how_it_stands(lab: Lab) -> None:
    first = lab.start()
    lab.measure(lambda: None, lambda: lab.has_number("201"), "from the start to the first value", first.log)
    first.wait_for("cycle", whole=True)
    assert first.ask("healthz").status_code == 200
    ready = first.ask("readyz")
    assert (ready.status_code, ready.text) == (200, "leads\n")
    figures = first.ask("metrics").text
    assert "riti_leader 1.0" in figures
    assert 'riti_cycles_total{outcome="clean"}' in figures

    def is_quiet() -> bool:
        before = first.count_cycles()
        return not poll(lambda: first.count_cycles() > before, QUIET_S)

    wait_until(is_quiet, DEADLINE_S, "waiting until its own writes wake it no more", first.log)


def test_a_webhook_wakes_it(lab: Lab) -> None:
    [first] = lab.instances
    lab.merge("201", "202")
    assert not lab.has_number("202")
    lab.measure(first.tell_push, lambda: lab.has_number("202"), "from the hook to the value", first.log)


@pytest.mark.parametrize("whose", ["kv_key", "box_kv_key"])
def test_a_value_that_was_edited_by_hand_is_healed(lab: Lab, whose: str) -> None:
    """That of the PBX, and that of its box, which nothing else would make be written for years."""
    [first] = lab.instances
    first.wait_for("cycle", changed=[KEY], whole=True)
    before = lab.consul.read(getattr(lab.fleet.names(KEY), whose))
    assert before is not None
    key, healed = before.key, len(first.events("cycle"))

    def edit() -> None:
        held = lab.consul.read(key)
        assert held is not None
        lab.consul.write(key, b'{"files": {}}', held.modify_index)

    def is_healed() -> bool:
        held = lab.consul.read(key)
        return held is not None and held.value == before.value

    lab.measure(edit, is_healed, f"from the edit of {key} to the healed value", first.log)

    def has_told() -> bool:
        return any(one.get("healed") == [KEY] for one in first.events("cycle")[healed:])

    wait_until(has_told, DEADLINE_S, "waiting until it says so", first.log)


def test_a_replaced_pbx_is_judged_though_nobody_waits_for_it(lab: Lab, next_image: str) -> None:
    [first] = lab.instances
    file = lab.fleet.work / "fleet" / "fleet.yaml"
    file.write_text(file.read_text().replace("pbx: riti/pbx:dev", f"pbx: {next_image}"))
    with know_author():
        lab.fleet.merge_change("the PBX runs the next image")

    def is_judged() -> bool:
        entry = lab.consul.read(Places(lab.fleet.name).record(KEY))
        return entry is not None and read_record(entry.key, entry.value).judged == "good"

    lab.measure(first.tell_push, is_judged, "from the hook to a new PBX that is known to be well", first.log)
    first.wait_for("cycle", commit=lab.fleet.read_desired().commit, whole=True)
    assert lab.has_number("202")


def test_a_new_pbx_that_no_host_takes_is_told_until_one_does(lab: Lab) -> None:
    [first] = lab.instances
    file, box = lab.fleet.work / "fleet" / "fleet.yaml", "boxes/acme/rivera.yaml"
    file.write_text(file.read_text() + "places:\n  - {name: attic, boxes: 5}\n")
    said = 'name: rivera\nextensions:\n  - {number: "301", name: Phone 301, phone: sip}\n'

    def list_words() -> list[str]:
        return [str(line) for line in first.events("problem") if "acme/rivera is not running" in str(line)]

    with know_author():
        lab.fleet.write(box, f"{said}place: attic\n")
        lab.fleet.merge_change("an office at a place without hosts")
        lab.measure(first.tell_push, lambda: bool(list_words()), "from the hook to the word", first.log)
        assert "no host takes it" in list_words()[0]
        assert 'riti_units{state="down"} 1.0' in first.ask("metrics").text
        lab.fleet.write(box, said)
        lab.fleet.merge_change("wherever there is room")

    def is_up() -> bool:
        return 'riti_units{state="down"} 0.0' in first.ask("metrics").text

    lab.measure(first.tell_push, is_up, "from the hook to a PBX that runs", first.log)
    first.wait_for("cycle", commit=lab.fleet.read_desired().commit, whole=True)


def test_a_webhook_that_reaches_a_follower_is_passed_on(lab: Lab) -> None:
    """Neither would look at Git for an hour; each gets as many hooks as a forge sends."""
    [first] = lab.instances
    second = lab.start()
    second.wait_for("follows")
    for number in ("204", "205"):
        lab.merge("201", number)
        assert not lab.has_number(number)
        lab.measure(
            lambda: [second.tell_push() for _ in range(3)],
            lambda number=number: lab.has_number(number),
            "from the hook at a follower to the value",
            first.log,
        )
    lab.merge("201", "202")
    lab.measure(first.tell_push, lambda: lab.has_number("202"), "from the hook to the value", first.log)
    assert not first.events("not-done") and not second.events("not-done")


def test_a_killed_one_is_followed_by_another(lab: Lab) -> None:
    [first, second] = lab.instances
    ready = second.ask("readyz")
    assert (ready.status_code, ready.text) == (200, "follows\n")
    first.process.kill()
    first.process.wait()
    lab.measure(
        lambda: None,
        lambda: bool(second.events("leads")),
        "from kill -9 to the next leader",
        second.log,
    )
    lab.merge("201", "203")
    lab.measure(second.tell_push, lambda: lab.has_number("203"), "from the hook to the value", second.log)
    assert not lab.has_number("202")


def test_it_ends_when_it_is_told_and_frees_the_lock_at_once(lab: Lab) -> None:
    second = lab.instances[-1]
    began = time.monotonic()
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(DEADLINE_S) == 0
    print(f"from SIGTERM to the end: {time.monotonic() - began:.2f} s")
    assert not lab.is_led()
    assert second.events("ended")
    entry = lab.consul.read(Rights(lab.fleet.name).lock)
    assert entry is not None
    lead = read_lead(entry.key, entry.value)
    assert {server: tokens for server, tokens in lead.tokens.items() if tokens} == {}
