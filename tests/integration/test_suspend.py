"""Suspended by the command, and resumed, under the controller as the program that it is, on the real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.settings import read_settings
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.errors import Denied
from ritilib.reconcile.state import read_record
from ritilib.sync.observe import Places
from tests.integration.fleets import know_author, make_fleet
from tests.integration.holdings import Holdings
from tests.integration.test_service import KEY, Instance, Lab

DEADLINE_S = 120.0
RULES = 'key_prefix "riti/paused/inventory/_suspended/" {\n  policy = "write"\n}\n'
OWNER = "riti 6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("paused")
    with know_author():
        fleet = make_fleet(stack, folder, "paused", 4322)
    with ExitStack() as running:
        made = Lab(fleet, Consul(read_settings(stack.environment())), folder, running)
        made.merge("201")
        yield made
    Holdings("paused", stack.environment()).remove(folder / "log")


@pytest.fixture(scope="module")
def person(lab: Lab) -> dict[str, str]:
    """The environment of somebody whose token may suspend this fleet, and nothing else."""
    lab.consul.put_policy("paused-person", RULES, OWNER)
    token = lab.consul.create_token(("paused-person",), OWNER)
    kept = ("PATH", "CONSUL_HTTP_ADDR", "CONSUL_CACERT")
    environ = {name: value for name, value in {**os.environ, **lab.fleet.management}.items() if name in kept}
    return {**environ, "HOME": str(lab.folder), "PYTHONPATH": os.getcwd(), "CONSUL_HTTP_TOKEN": token}


def run(person: dict[str, str], lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "ritilib", *words, "--repo", str(lab.fleet.work)]
    return subprocess.run(argv, env=person, capture_output=True, text=True, check=False)


def wait(lab: Lab, instance: Instance, number: str) -> None:
    wait_until(lambda: lab.has_number(number), DEADLINE_S, f"waiting for {number}", instance.log)


def wait_held(instance: Instance, *words: str) -> None:
    """Until it says of something held back what has all these words."""

    def is_told() -> bool:
        return any(all(one in told["what"] for one in words) for told in instance.events("held"))

    wait_until(is_told, DEADLINE_S, f"waiting until it says {words}", instance.log)


def deface(lab: Lab, old: bytes, new: bytes) -> bytes:
    """What a hand does to the value of the one PBX; the value that it leaves."""
    held = lab.read_value()
    assert held is not None and old in held.value
    defaced = held.value.replace(old, new)
    lab.consul.write(held.key, defaced, held.modify_index)
    return defaced


def test_what_is_suspended_takes_no_merge_and_no_repair_until_it_is_resumed(
    lab: Lab, person: dict[str, str]
) -> None:
    leader = lab.start()
    wait(lab, leader, "201")
    leader.wait_for("cycle", whole=True)

    done = run(person, lab, "suspend", "acme", "--why", "calls drop since 9:40", "--for", "2h")
    assert done.returncode == 0, done.stderr
    assert "acme is suspended until" in done.stdout
    leader.wait_for("suspended", scope="acme", why="calls drop since 9:40")

    merged = lab.merge("201", "202")
    assert leader.tell_push().ok
    wait_held(leader, "acme is suspended until", "1 unit of it wait: acme/salto")
    # a cycle that ends after the second began after the first
    for old, new in ((b"201", b"999"), (b"999", b"998")):
        before = leader.count_cycles()
        defaced = deface(lab, old, new)
        wait_until(lambda: leader.count_cycles() > before, DEADLINE_S, "waiting for a cycle", leader.log)  # noqa: B023
    held = lab.read_value()
    assert held is not None and held.value == defaced
    # the rest of the fleet is as the newest commit wants it
    entry = lab.consul.read(Places("paused").record("lighthouse/one"))
    assert entry is not None and read_record(entry.key, entry.value).state == "applied"
    assert 'riti_units{state="paused"} 1.0' in leader.ask("metrics").text

    lab.measure(
        lambda: run(person, lab, "resume", "acme").check_returncode(),
        lambda: lab.has_number("202") and not lab.has_number("998"),
        "from `riti resume` to the value",
        leader.log,
    )
    leader.wait_for("resumed", scope="acme")
    leader.wait_for("cycle", commit=merged, whole=True)


def test_what_git_suspends_is_left_alone_and_the_command_says_where_to_edit(
    lab: Lab, person: dict[str, str]
) -> None:
    [leader] = lab.instances
    lab.fleet.write("companies/acme.yaml", "name: Acme S.A.\nsync:\n  suspended: the mast is down\n")
    lab.merge("201", "203")
    assert leader.tell_push().ok
    leader.wait_for("suspended", scope="acme", why="the mast is down", by="git")
    wait_held(leader, "acme is suspended (the mast is down)", "acme/salto")
    assert not lab.has_number("203")
    done = run(person, lab, "resume", "acme")
    assert done.returncode == 1
    assert "fleet/companies/acme.yaml:3: Git suspends acme: the mast is down" in done.stderr
    assert not lab.has_number("203")
    lab.fleet.write("companies/acme.yaml", "name: Acme S.A.\n")
    lab.merge("201", "203")
    assert leader.tell_push().ok
    wait(lab, leader, "203")


def test_hands_are_let_be_where_git_says_so(lab: Lab, person: dict[str, str]) -> None:
    [leader] = lab.instances
    lab.fleet.write("companies/acme.yaml", "name: Acme S.A.\nsync: {self_heal: false}\n")
    merged = lab.merge("201", "203")
    assert leader.tell_push().ok
    leader.wait_for("cycle", commit=merged, whole=True)
    defaced = deface(lab, b"203", b"998")
    wait_held(leader, "were changed by hand", f"{KEY} (drift: its value in Consul was changed)")
    held = lab.read_value()
    assert held is not None and held.value == defaced
    lab.merge("201", "204")  # what Git changes is applied all the same
    assert leader.tell_push().ok
    wait(lab, leader, "204")
    assert not lab.has_number("998")


def test_a_persons_token_reads_and_writes_nothing_but_suspensions(lab: Lab, person: dict[str, str]) -> None:
    consul = Consul(read_settings(person, servers=("consul",)))
    places = Places("paused")
    with pytest.raises(Denied, match="the token sees only a part"):
        consul.read_tree(places.inventory)
    assert len(consul.read_tree(places.suspended).entries) == 1
