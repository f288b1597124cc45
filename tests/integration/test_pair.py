"""Two instances of one PBX: moved, cut off, and come back. They never share an address, and no call is cut."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle

import pytest

from ritilib.devstack.processes import poll
from ritilib.devstack.servers.nomad import NODE
from ritilib.devstack.stack import Stack
from ritilib.errors import RitiError
from tests.faults.agents import Agent, allow_own_node, hold_docker_client
from tests.faults.servers import Servers
from tests.integration.live_company import (
    DEADLINE_S,
    MONTEVIDEO,
    NUMBERS,
    OFFICES,
    RIVERA,
    SALTO,
    Company,
    open_company,
    write_acme,
)

FLEET = "pairs"
FAR = "riti-far"
LIGHTHOUSE = "lighthouse/one"
LOST_AFTER_S = 25  # of ten minutes
GOES_ON_S = 5.0


@dataclass(frozen=True)
class Pair:
    """The company, whose PBXes may run at two hosts."""

    company: Company
    stack: Stack
    far: Agent
    routes: Iterator[str] = field(default_factory=lambda: cycle(("102", "101")))

    @property
    def servers(self) -> Servers:
        return Servers(self.stack.environment())

    def find_newest(self) -> str:
        """The newest that runs; "" where none does."""
        return next(
            reversed(self.company.nomad.find_running(self.company.fleet.names(MONTEVIDEO).job_id)), ""
        )

    def find_pid(self, allocation: str) -> int | None:
        """Of an instance's Asterisk, as Docker knows it, whatever Nomad says; None where it does not run."""
        try:
            state = self.company.docker.inspect(f"pbx-{allocation}")["State"]
        except RitiError:
            return None
        return int(state["Pid"]) if state["Running"] else None

    def find_address(self, allocation: str) -> str | None:
        """Which address of the overlay an instance has."""
        pid = self.find_pid(allocation)
        if pid is None:
            return None
        words = ("nsenter", "-t", str(pid), "-n", "ip", "-4", "-o", "address", "show", "dev", "riti")
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        found = re.search(r"inet ([0-9.]+)/", said)
        return found[1] if found else None

    def find_reached(self) -> set[str]:
        """At which addresses the other PBXes and the box reach the office's PBX; "?" for who does not."""
        listings = [self.company.ask_pbx(key, "iax2 show peers") for key in (SALTO, RIVERA)]
        listings.append(self.company.offices[MONTEVIDEO].office.asterisk("iax2 show peers"))
        found = [
            re.search(r"^(?:cloud|pbx-montevid)\S*\s+([0-9.]+) .* OK \(", one, re.MULTILINE)
            for one in listings
        ]
        return {one[1] if one else "?" for one in found}

    def wait_reached(self, allocation: str) -> None:
        """Until all reach exactly this instance."""

        def is_reached() -> bool:
            address = self.find_address(allocation)
            try:
                return address is not None and self.find_reached() == {address}
            except (RitiError, ValueError):  # another office's PBX moves, too, and is between two hosts
                return False

        self.company.wait(is_reached, f"all reach {allocation[:8]}")
        self.company.wait(lambda: all(map(self.company.is_linked, OFFICES)), "all are linked")

    def find_node(self, allocation: str) -> str:
        return str(self.servers.get("NOMAD", f"allocation/{allocation}")["NodeName"])

    def allow_only(self, node: str) -> None:
        for one in (NODE, FAR):
            allow_own_node(self.stack, one == node, one)

    def bring_to(self, node: str) -> str:
        """The instance, at this host; only it takes work from then on."""
        self.allow_only(node)
        newest = self.wait_follower("")
        if self.find_node(newest) != node:
            self.stop(newest)
            newest = self.wait_follower(newest)
        self.wait_reached(newest)
        return newest

    def describe(self, job: str) -> str:
        """What Nomad and Consul know of the instances, for a failure's message."""
        lines = []
        for one in self.servers.get("NOMAD", f"job/{job}/allocations"):
            tasks = {
                name: (state["State"], [event["DisplayMessage"] for event in state["Events"]][-1:])
                for name, state in (one["TaskStates"] or {}).items()
            }
            lines.append(
                f"{one['ID'][:8]} {one['NodeName']} {one['ClientStatus']} {one['DesiredStatus']} {tasks}"
            )
        for kind in ("deployments", "evaluations"):
            for one in self.servers.get("NOMAD", f"job/{job}/{kind}"):
                words = (
                    one["Status"],
                    one.get("StatusDescription"),
                    one.get("TriggeredBy"),
                    one.get("FailedTGAllocs"),
                )
                lines.append(f"{kind}: {words}")
        return "\n".join(
            [*lines, str(self.company.consul.read(self.company.fleet.names(MONTEVIDEO).generation))]
        )

    def wait_missed(self, allocation: str) -> str:
        """Until Nomad misses the host, and the controller has applied a commit meanwhile; that commit."""
        self.company.wait(
            lambda: self.servers.get("NOMAD", f"allocation/{allocation}")["ClientStatus"] == "unknown",
            "Nomad misses the host",
        )
        self.company.fleet.write("companies/acme.yaml", write_acme(next(self.routes)))
        commit = self.company.merge("another route")

        def is_applied() -> bool:
            return any(one["commit"] == commit for one in self.company.instance.events("cycle"))

        self.company.wait(is_applied, "the commit is applied")
        return commit

    def spoil(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Write a value as a hand does, and wait until it is healed."""
        good = self.company.consul.read(key)
        assert good is not None and change(good.value) != good.value
        self.company.consul.write(key, change(good.value), good.modify_index)

        def is_healed() -> bool:
            found = self.company.consul.read(key)
            return found is not None and found.value == good.value

        self.company.wait(is_healed, f"{key} is healed")

    def drain(self, node: str, deadline_s: int) -> None:
        """Take a node's work away, as `nomad node drain` does."""
        [found] = [one["ID"] for one in self.servers.get("NOMAD", "nodes") if one["Name"] == node]
        spec = {"DrainSpec": {"Deadline": deadline_s * 10**9, "IgnoreSystemJobs": False}}
        self.servers.ask("NOMAD", "POST", f"node/{found}/drain", spec).raise_for_status()

    def is_draining(self, node: str) -> bool:
        return any(one["Drain"] for one in self.servers.get("NOMAD", "nodes") if one["Name"] == node)

    def end_at_once(self, allocation: str) -> None:
        """As `nomad alloc signal -s SIGTERM` does, of one that was told to end."""
        body = {"Signal": "SIGTERM", "Task": "pbx"}
        path = f"client/allocation/{allocation}/signal"
        self.servers.ask("NOMAD", "PUT", path, body).raise_for_status()

    def stop(self, allocation: str) -> None:
        self.servers.ask("NOMAD", "POST", f"allocation/{allocation}/stop").raise_for_status()

    def wait_follower(self, allocation: str) -> str:
        """The instance that comes after this one, once it runs."""

        def is_there() -> bool:
            newest = self.find_newest()
            return bool(newest) and newest != allocation and self.find_pid(newest) is not None

        job = self.company.fleet.names(MONTEVIDEO).job_id
        assert poll(is_there, DEADLINE_S), self.describe(job)
        return self.find_newest()


@pytest.fixture(scope="module")
def pair(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp(FLEET)
    (folder / "far").mkdir()
    with hold_docker_client(stack, folder / "far", FAR) as far:
        allow_own_node(stack, False, FAR)  # that only one host is asked for room
        environ = {"RITI_LOST_AFTER": str(LOST_AFTER_S)}
        with open_company(stack, folder, FLEET, 4340, environ=environ) as company:
            yield Pair(company, stack, far)


def test_a_pbx_that_is_moved_ends_with_its_call_and_all_reach_the_next_one(pair: Pair) -> None:
    company = pair.company
    first = pair.bring_to(NODE)
    was, generation = pair.find_address(first), company.read_generation(MONTEVIDEO)
    talk = company.talk(("101", "201"))
    pair.allow_only(FAR)
    pair.stop(first)
    assert not poll(talk.is_cut, GOES_ON_S)
    assert pair.find_pid(first) is not None
    company.end(company.talk(("202", "102")))  # not by that PBX, which takes no new call
    company.end(company.talk(("102", "301")))
    company.end(talk)
    assert company.cut == []
    company.wait(lambda: pair.find_pid(first) is None, "it ends with its last call")
    second = pair.wait_follower(first)
    pair.wait_reached(second)
    assert pair.find_node(second) == FAR
    assert company.read_generation(MONTEVIDEO) == generation + 1
    assert pair.find_address(second) != was
    company.end(company.talk(("202", "102")))
    assert company.cut == []


def test_a_host_that_is_cut_off_keeps_its_call_and_comes_back_without_its_pbx(pair: Pair) -> None:
    company = pair.company
    older = pair.bring_to(FAR)
    address = pair.find_address(older)
    generation = company.read_generation(MONTEVIDEO)
    talk = company.talk(("101", "201"))
    with pair.far.paused():  # its agent alone: the stack's own node shares the servers' address
        pair.allow_only(NODE)
        commit = pair.wait_missed(older)
        newer = pair.wait_follower(older)
        pair.wait_reached(newer)
        assert company.read_generation(MONTEVIDEO) == generation + 1
        # both run, and neither has the other's address
        assert pair.find_address(older) == address != pair.find_address(newer)
        assert not talk.is_cut()
        assert talk.is_heard(1.0)
        company.end(company.talk(("202", "102")))
        assert pair.find_pid(older) is not None
        company.wait(lambda: company.is_live(MONTEVIDEO, commit), "the newer one has the commit's values")
    assert not poll(talk.is_cut, GOES_ON_S)
    company.end(talk)
    assert company.cut == []
    company.wait(lambda: pair.find_pid(older) is None, "the older one ends with its last call")
    pair.wait_reached(newer)
    company.end(company.talk(("101", "301")))
    assert company.cut == []


def test_a_host_that_is_back_soon_keeps_its_pbx(pair: Pair) -> None:
    company = pair.company
    here = pair.bring_to(FAR)
    generation, pid = company.read_generation(MONTEVIDEO), pair.find_pid(here)
    talk = company.talk(("101", "201"))
    with pair.far.paused():
        pair.allow_only(NODE)
        commit = pair.wait_missed(here)
    company.wait(lambda: company.is_live(MONTEVIDEO, commit), "it has the commit's values")

    def is_moved() -> bool:
        return pair.find_newest() != here or company.read_generation(MONTEVIDEO) != generation

    assert not poll(is_moved, LOST_AFTER_S + GOES_ON_S), pair.describe(company.fleet.names(MONTEVIDEO).job_id)
    company.end(talk)
    assert company.cut == []
    assert pair.find_pid(here) == pid
    pair.wait_reached(here)


def test_a_drain_moves_an_idle_pbx_at_once(pair: Pair) -> None:
    company = pair.company
    before = pair.bring_to(NODE)
    allow_own_node(pair.stack, True, FAR)
    pair.drain(NODE, 3600)
    try:
        company.wait(lambda: pair.find_pid(before) is None, "it ends")
        after = pair.wait_follower(before)
    finally:
        pair.allow_only(FAR)
    pair.wait_reached(after)
    assert pair.find_node(after) == FAR


def test_a_drain_cuts_no_call_even_past_its_deadline_and_a_signal_does(pair: Pair) -> None:
    company = pair.company
    before = pair.bring_to(FAR)
    talk = company.talk(("101", "201"))
    allow_own_node(pair.stack, True, NODE)
    pair.drain(FAR, 1)
    try:
        company.wait(lambda: not pair.is_draining(FAR), "Nomad drains no longer")
        assert not poll(talk.is_cut, GOES_ON_S)
        assert pair.find_pid(before) is not None
        pair.end_at_once(before)
        company.wait(lambda: pair.find_pid(before) is None, "it ends")
        company.wait(talk.is_cut, "its call with it")
        after = pair.wait_follower(before)
    finally:
        pair.allow_only(NODE)
    pair.wait_reached(after)
    company.end(company.talk(("102", "202")))
    assert company.cut == []


def test_a_value_that_is_none_is_waited_through(pair: Pair) -> None:
    """A template that failed on it would be the last of its task, and the next values would come to nothing."""
    company = pair.company
    key, beside = (company.fleet.names(one).kv_key for one in (MONTEVIDEO, LIGHTHOUSE))
    [lighthouse] = company.nomad.find_running(company.fleet.names(LIGHTHOUSE).job_id)
    here = pair.bring_to(NODE)
    pid, talk = pair.find_pid(here), company.talk(("101", "201"))
    for spoil in (
        lambda good: b"",
        lambda good: b"{",
        lambda good: b'{"files": {}}',
        lambda good: b'"files"',
        lambda good: good[:-1],
        lambda good: good.replace(b'": ', b'" '),
    ):
        pair.spoil(key, spoil)
        pair.spoil(beside, spoil)
    company.fleet.write("companies/acme.yaml", write_acme(next(pair.routes)))
    commit = company.merge("another route")
    company.wait(lambda: company.is_live(MONTEVIDEO, commit), "it has the commit's values")
    company.end(talk)
    assert company.cut == []
    assert pair.find_pid(here) == pid
    assert company.nomad.find_running(company.fleet.names(LIGHTHOUSE).job_id) == (lighthouse,)


def test_an_image_that_is_replaced_takes_the_other_address(pair: Pair) -> None:
    company = pair.company
    before = pair.bring_to(NODE)
    address, generation = pair.find_address(before), company.read_generation(MONTEVIDEO)
    listed = "".join(
        f'  - {{number: "{one}", name: Phone {one}, phone: sip}}\n' for one in NUMBERS[MONTEVIDEO]
    )
    company.fleet.write(
        f"boxes/{MONTEVIDEO}.yaml",
        f"name: Montevideo\nresources: {{memory_mb: 72}}\nextensions:\n{listed}",
    )
    commit = company.merge("more memory")
    company.wait(lambda: company.is_live(MONTEVIDEO, commit), "it is replaced")
    after = pair.wait_follower(before)
    pair.wait_reached(after)
    assert company.read_generation(MONTEVIDEO) == generation + 1
    assert pair.find_address(after) != address
    company.end(company.talk(("101", "201")))
    assert company.cut == []
