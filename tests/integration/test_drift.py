"""A hand's change in the real Consul and Nomad wakes the loop; the figures are printed, and never judged."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.devstack.stack import Stack, start_server, stop_server
from ritilib.errors import RitiError
from ritilib.sync.drift import Watch, watch_drift
from ritilib.sync.lead.rights import NOMAD_CANDIDATE, Rights
from ritilib.sync.wake import Wakeups
from tests.integration.holdings import Holdings

FLEET = "drifting"
PREFIX = f"riti/{FLEET}/pbx/"
NEXT_S = 60
QUIET_S = 1.0


@dataclass
class Lab:
    """Both watches with the controller's own narrow tokens; management tokens for the hand."""

    consul: Consul
    nomad: Nomad
    holdings: Holdings
    wakeups: Wakeups
    watches: tuple[Watch, ...] = ()
    said: queue.Queue[tuple[str, RitiError]] = field(default_factory=queue.Queue)

    def purge(self, job_id: str) -> None:
        """What no part of RITI does."""
        self.holdings.nomad("DELETE", f"job/{job_id}?purge=true")

    def wait_begun(self) -> None:
        """Until each watch has woken once, as it does at the start; in which order is chance."""
        woken: frozenset[str] = frozenset()
        while woken != {"drift", "turns"}:
            now = self.wakeups.wait(NEXT_S)
            assert now <= {"drift", "turns"}
            woken |= now

    def settle(self) -> None:
        """Until nothing more wakes: the wakes of the connections themselves are over."""
        while self.wakeups.wait(QUIET_S) != {"timer"}:
            pass

    def wait_said(self, watch: str) -> None:
        """Until this watch has said that it cannot watch; others of the same server may have said so before."""
        end = time.monotonic() + NEXT_S
        while self.said.get(timeout=max(end - time.monotonic(), 0.001))[0] != watch:
            pass

    def wait_woken(self, change: Callable[[], object], what: str) -> None:
        """Make the change, and print how long it took to wake."""
        self.settle()
        began = time.monotonic()
        change()
        made = time.monotonic()
        assert self.wakeups.wait(NEXT_S) == {"drift"}
        now = time.monotonic()
        print(f"{what}: woken {now - began:.3f} s after it began, {now - made:.3f} s after its answer")


def make_job(job_id: str) -> dict[str, object]:
    """A job that places nothing: its group wants no instance."""
    task = {"Name": "nothing", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}
    group = {"Name": "none", "Count": 0, "Tasks": [task]}
    return {"ID": job_id, "Name": job_id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}


@pytest.fixture(scope="module")
def settings(env: dict[str, str]) -> Settings:
    """As bootstrap leaves the controller: its own tokens, with its own policies."""
    management = read_settings(env)
    consul, nomad = Consul(management), Nomad(management)
    consul.put_policy(f"riti-{FLEET}", Rights(FLEET).consul_candidate(), f"riti {FLEET} controller")
    nomad.put_policy(f"riti-{FLEET}", NOMAD_CANDIDATE, f"riti {FLEET} controller")
    policies = (f"riti-{FLEET}",)
    return replace(
        management,
        consul=replace(management.consul, token=consul.create_token(policies, FLEET)),
        nomad=replace(management.nomad, token=nomad.create_token(policies, FLEET)),
    )


@pytest.fixture
def lab(env: dict[str, str], settings: Settings) -> Iterator[Lab]:
    before = set(threading.enumerate())
    management = read_settings(env)
    made = Lab(Consul(management), Nomad(management), Holdings(FLEET, env), Wakeups())
    with watch_drift(
        FLEET, settings, made.wakeups, lambda *said: made.said.put(said), Wakeups()
    ) as made.watches:
        made.wait_begun()
        yield made
        began = time.monotonic()
    print(f"both watches ended {time.monotonic() - began:.3f} s after they were told to")
    assert set(threading.enumerate()) <= before


def test_a_value_changed_by_hand_wakes(lab: Lab) -> None:
    key = f"{PREFIX}acme/salto/1"
    lab.wait_woken(lambda: lab.consul.write(key, b"made", 0), "a value made")
    held = lab.consul.read(key)
    assert held is not None
    lab.wait_woken(lambda: lab.consul.write(key, b"by hand", held.modify_index), "a value changed")
    held = lab.consul.read(key)
    assert held is not None
    lab.wait_woken(lambda: lab.consul.delete(key, held.modify_index), "a value deleted")
    assert lab.said.empty()


def test_a_job_made_changed_and_stopped_by_hand_wakes(lab: Lab) -> None:
    job = make_job(f"{FLEET}--acme--salto")
    lab.wait_woken(lambda: lab.nomad.register(job, 0), "a job made")
    held = lab.nomad.read_job(job["ID"])
    assert held is not None
    lab.wait_woken(lambda: lab.nomad.stop_job(job["ID"], held["JobModifyIndex"]), "a job stopped")
    lab.wait_woken(lambda: lab.purge(job["ID"]), "a job purged")
    assert lab.said.empty()


def test_what_is_not_this_fleets_wakes_nobody(lab: Lab) -> None:
    lab.consul.write(f"{PREFIX}acme/rivera/1", b"1", 0)
    lab.settle()
    lab.consul.write(f"riti/{FLEET}/inventory/acme/rivera", b"1", 0)
    lab.consul.write(f"riti/{FLEET}2/pbx/acme/rivera/1", b"1", 0)
    lab.nomad.register(make_job(f"{FLEET}2--acme--salto"), 0)
    lab.nomad.register(make_job("somebody"), 0)
    # then one that is: whatever the others told has been read before it
    lab.nomad.register(make_job(f"{FLEET}--acme--rivera"), 0)
    assert lab.wakeups.wait(NEXT_S) == {"drift"}
    lab.settle()


@pytest.mark.parametrize(("server", "watch"), [("consul", "consul-values"), ("nomad", "nomad-jobs")])
def test_a_server_that_was_away_is_followed_again_and_the_gap_looked_at(
    lab: Lab, stack: Stack, server: str, watch: str
) -> None:
    lab.settle()
    stop_server(stack.state, server, print)
    lab.wait_said(watch)
    start_server(stack.state, server, print)
    assert lab.wakeups.wait(NEXT_S) == {"drift"}
    key, job_id = f"{PREFIX}acme/back-{server}/1", f"{FLEET}--acme--back-{server}"
    lab.wait_woken(lambda: lab.consul.write(key, b"1", 0), f"a value made after {server} was away")
    lab.wait_woken(lambda: lab.nomad.register(make_job(job_id), 0), f"a job made after {server} was away")
