"""One controller writes at a time (rule 8), with real servers and controllers that are killed and paused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.clients.vault import Vault
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.errors import Denied, LeadershipLost, Unreachable
from ritilib.reconcile.leading import Lead, read_lead
from ritilib.sync.lead.bootstrap import bootstrap
from ritilib.sync.lead.election import Candidate, Clients, arm, connect_clients, take_lead
from ritilib.sync.lead.rights import Rights
from tests.integration.fleets import keep_silent

DEADLINE_S = 90.0
AT_ONCE = 10  # candidates at once so often; the slow suite has a hundred
JOB = {"ID": "x", "Name": "x", "Type": "service", "Datacenters": ["*"], "TaskGroups": []}


@dataclass
class Program:
    """A candidate that runs by itself (tests/integration/candidate.py)."""

    process: subprocess.Popen[bytes]
    log: Path

    def events(self, event: str) -> list[dict[str, Any]]:
        """What it has told so far; a line that is not whole yet is left."""
        text = self.log.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in told if one["event"] == event]

    def wait_for(self, event: str) -> dict[str, Any]:
        wait_until(lambda: bool(self.events(event)), DEADLINE_S, f"waiting for `{event}`", self.log)
        return self.events(event)[0]


@dataclass
class Lab:
    """A fleet that is bootstrapped, for one test."""

    fleet: str
    management: Settings
    standing: Mapping[str, str]
    folder: Path
    running: ExitStack

    def start(self, who: str) -> Program:
        log = self.folder / f"{who}.log"
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), **self.standing}
        argv = [sys.executable, "-m", "tests.integration.candidate", self.fleet, who]
        with log.open("wb") as output:
            process = subprocess.Popen(argv, env=environ, stdout=output, stderr=output)
        self.running.callback(process.wait)
        self.running.callback(process.kill)
        return Program(process, log)

    def make_candidate(self, who: str, environ: Mapping[str, str] | None = None) -> Candidate:
        settings = read_settings({**self.standing, **(environ or {})})
        return Candidate(settings, self.fleet, who, keep_silent)

    def read_written(self, who: str) -> tuple[int, int]:
        """The number that this program wrote last, and the index of that write."""
        entry = Consul(self.management).read(f"riti/{self.fleet}/written/{who}")
        return (int(entry.value), entry.modify_index) if entry else (0, 0)

    def describe(self, tokens: Mapping[str, str]) -> Clients:
        """The servers with these tokens and without any check of ours."""
        return connect_clients(arm(self.management, None, tokens))


def make_lab(stack: Stack, folder: Path, running: ExitStack) -> Lab:
    fleet, env = f"t{uuid.uuid4().hex[:10]}", stack.environment()
    management = read_settings(env)
    made = bootstrap(
        Nomad(management),
        Consul(management),
        Vault(management),
        OverlayTool(stack.nebula_cert),
        fleet,
        f"id-{fleet}",
        stack.jwks_url,
        None,
        keep_silent,
    )
    return Lab(fleet, management, {**env, **made.environment()}, folder, running)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends whatever programs a test started."""
    with ExitStack() as programs:
        yield programs


@pytest.fixture
def lab(stack: Stack, tmp_path: Path, running: ExitStack) -> Lab:
    return make_lab(stack, tmp_path, running)


@pytest.fixture
def neighbour(stack: Stack, tmp_path: Path, running: ExitStack) -> Lab:
    """Another fleet on the same servers."""
    return make_lab(stack, tmp_path, running)


def assert_dead(clients: Clients, fleet: str) -> None:
    """Each server denies what a leader's token may do, whatever its holder believes."""
    writes: list[Callable[[], object]] = [
        lambda: clients.nomad.register(JOB | {"ID": f"{fleet}--c--b"}, 0),
        lambda: clients.nomad.list_jobs(f"{fleet}--"),
        lambda: clients.consul.write(f"riti/{fleet}/pbx/c/b/1", b"{}", 0),
        lambda: clients.consul.put_policy(f"pbx-{fleet}--c--b", "", f"riti id-{fleet} c/b"),
        lambda: clients.vault.write_document(f"{fleet}/pbx/c/b", {}, 0),
        lambda: clients.vault.put_policy(f"pbx-{fleet}--c--b", ""),
    ]
    for write in writes:
        with pytest.raises(Denied):
            write()


def test_a_second_candidate_waits_and_follows_a_clean_end_at_once(lab: Lab) -> None:
    first = lab.start("first")
    led = first.wait_for("leads")
    second = lab.start("second")
    assert "first leads since" in second.wait_for("said")["words"]
    with pytest.raises(LeadershipLost, match="first leads since"):
        take_lead(lab.make_candidate("third"), patience_s=0.0)
    assert second.events("leads") == []
    first.process.send_signal(signal.SIGINT)
    first.process.wait(DEADLINE_S)
    assert second.wait_for("leads")["epoch"] == led["epoch"] + 1
    assert_dead(lab.describe(led["tokens"]), lab.fleet)


def test_a_killed_leader_is_followed_when_its_session_has_run_out(lab: Lab) -> None:
    first = lab.start("first")
    led = first.wait_for("leads")
    second = lab.start("second")
    second.wait_for("said")
    first.process.kill()
    first.process.wait()
    assert second.wait_for("leads")["epoch"] == led["epoch"] + 1
    assert_dead(lab.describe(led["tokens"]), lab.fleet)


def test_a_paused_leader_wakes_up_behind_a_new_one_and_writes_nothing(lab: Lab, neighbour: Lab) -> None:
    """And meanwhile, for longer than a session lives, another fleet's leader leads on undisturbed."""
    steady = neighbour.start("steady")
    steady.wait_for("leads")
    first = lab.start("first")
    led = first.wait_for("leads")
    wait_until(lambda: lab.read_written("first")[0] > 0, DEADLINE_S, "waiting for a write", first.log)
    first.process.send_signal(signal.SIGSTOP)
    second = lab.start("second")
    now = second.wait_for("leads")
    paused = lab.read_written("first")
    first.process.send_signal(signal.SIGCONT)
    first.process.wait(DEADLINE_S)
    [end] = first.events("lost") + first.events("failed")
    # its own clock stops it, or, where it was paused between that look and the request itself, its dead tokens do
    assert "leads no more" in end["words"] or end["kind"] == "Denied"
    assert lab.read_written("first") == paused
    assert_dead(lab.describe(led["tokens"]), lab.fleet)
    lead = read_lock(lab)
    assert (lead.who, lead.epoch) == ("second", now["epoch"])
    written = lab.read_written("second")[0]
    wait_until(
        lambda: lab.read_written("second")[0] > written, DEADLINE_S, "waiting for the new leader", second.log
    )
    assert second.events("lost") == second.events("failed") == []
    written = neighbour.read_written("steady")[0]
    wait_until(
        lambda: neighbour.read_written("steady")[0] > written, DEADLINE_S, "waiting for it", steady.log
    )
    assert steady.events("lost") == steady.events("failed") == []
    assert len(steady.events("leads")) == 1


def test_a_leader_whose_session_was_ended_by_hand_is_stopped_by_its_tokens(lab: Lab) -> None:
    """Its own clock cannot know; the time between two renewals is what the tokens are for."""
    candidate = lab.make_candidate("first")
    unaware = replace(candidate, timing=replace(candidate.timing, renew_s=600.0))
    with take_lead(unaware) as old:
        entry = Consul(lab.management).read(Rights(lab.fleet).lock)
        assert entry is not None
        Consul(lab.management).destroy_session(entry.session)
        with take_lead(lab.make_candidate("second")) as new:
            old.check()
            assert_dead(connect_clients(old.settings), lab.fleet)
            connect_clients(new.settings).consul.write(f"riti/{lab.fleet}/a", b"1", 0)
    assert_dead(connect_clients(arm(new.settings, None, {})), lab.fleet)


@pytest.mark.parametrize("server", ["NOMAD_ADDR", "CONSUL_HTTP_ADDR", "VAULT_ADDR"])
def test_nobody_leads_without_all_three_servers(lab: Lab, server: str) -> None:
    with pytest.raises(Unreachable):
        take_lead(lab.make_candidate("first", {server: "http://127.0.0.1:1"}))
    with take_lead(lab.make_candidate("second")) as leadership:
        leadership.check()


def test_candidates_at_once_make_one_leader_each_time(lab: Lab) -> None:
    stand_at_once(lab, AT_ONCE)


@pytest.mark.slow
def test_candidates_at_once_a_hundred_times(lab: Lab) -> None:
    stand_at_once(lab, 100)


def stand_at_once(lab: Lab, rounds: int) -> None:
    """Two threads with clients of their own stand at the same moment; each leads once, never both."""
    leading: list[str] = []
    epochs: list[int] = []
    start = threading.Barrier(2)

    def lead(who: str) -> None:
        start.wait(DEADLINE_S)
        with take_lead(lab.make_candidate(who)) as leadership:
            leading.append(who)
            assert leading == [who]
            epochs.append(leadership.epoch)
            consul = connect_clients(leadership.settings).consul
            held = consul.read(f"riti/{lab.fleet}/counter")
            count = int(held.value) if held else 0
            consul.write(
                f"riti/{lab.fleet}/counter", str(count + 1).encode(), held.modify_index if held else 0
            )
            leading.remove(who)

    with ThreadPoolExecutor(2) as both:
        for _ in range(rounds):
            for future in [both.submit(lead, who) for who in ("first", "second")]:
                future.result(DEADLINE_S)
    assert epochs == list(range(epochs[0], epochs[0] + 2 * rounds))
    counter = Consul(lab.management).read(f"riti/{lab.fleet}/counter")
    assert counter is not None and int(counter.value) == 2 * rounds


def read_lock(lab: Lab) -> Lead:
    entry = Consul(lab.management).read(Rights(lab.fleet).lock)
    assert entry is not None
    return read_lead(entry.key, entry.value)
