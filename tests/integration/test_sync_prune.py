"""Offices that leave the repository, on the real servers: each goes in its time, alone, and only when it may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ritilib.clients.nebula import OverlayTool
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.errors import GitopsError
from ritilib.gitops.desired import read_newer
from ritilib.sync.connect import connect_servers
from ritilib.sync.lead.election import take_lead
from ritilib.sync.once import sync_once
from ritilib.sync.synced import Synced
from tests.integration.fleets import Fleet, keep_silent, know_author, make_fleet
from tests.integration.holdings import Holdings

GRACE = timedelta(minutes=10)
WEEK = timedelta(days=7)
OFFICES = ("acme/montevideo", "acme/rivera", "acme/salto", "acme-sur/salto")


@dataclass
class Lab:
    """A fleet of two companies whose names begin alike; the controller's clock is the test's."""

    fleet: Fleet
    holdings: Holdings
    log: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def sync(self, commit: str = "main") -> Synced:
        """One cycle of the controller, as the leader."""
        desired = self.fleet.read_desired(commit)
        tool = OverlayTool(Path(self.fleet.controller["RITI_NEBULA_CERT"]))
        newest = partial(read_newer, self.fleet.forge, "main")
        with take_lead(self.fleet.make_candidate(self.fleet.controller)) as leadership:
            servers = connect_servers(leadership.settings, desired.fleet, tool)
            return sync_once(desired, servers, (), keep_silent, newest=newest, clock=lambda: self.now)

    def run_riti(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command itself, with the machine's own clock."""
        argv = [sys.executable, "-m", "ritilib", *arguments, "--repo", str(self.fleet.forge)]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.log.parent), **self.fleet.controller}
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)

    def remove(self, *paths: str) -> None:
        for path in paths:
            (self.fleet.work / "fleet" / path).unlink()

    def merge(self, message: str) -> str:
        with know_author():
            return self.fleet.merge_change(message)

    def list_running(self) -> dict[str, set[str]]:
        """job → the ids of its allocations that run."""
        found: dict[str, set[str]] = {}
        for one in self.holdings.list_allocations():
            if one["ClientStatus"] in ("pending", "running"):
                found.setdefault(one["JobID"], set()).add(one["ID"])
        return found

    def wait_gone(self, key: str) -> None:
        job_id = self.fleet.names(key).job_id
        wait_until(lambda: job_id not in self.list_running(), 60, f"waiting for the end of {key}", self.log)

    def find_traces(self, key: str) -> list[str]:
        """What the three servers show of a unit."""
        names = self.fleet.names(key)
        exact = {f"job {names.job_id}", f"key riti/prune/inventory/{key}", f"document box/{key}"}
        exact |= {f"document pbx/{key}", f"key {names.kv_key}"}
        exact |= {f"consul {kind} {names.role}" for kind in ("policy", "role")}
        exact |= {f"vault {place}/{names.role}" for place in ("sys/policies/acl", "auth/jwt-nomad/role")}
        return sorted(exact & self.holdings.dump().keys())


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("prune")
    with know_author():
        fleet = make_fleet(stack, folder, "prune", 4309)
        fleet.write("companies/acme-sur.yaml", "name: Acme Sur\n")
        for number, office in enumerate(OFFICES):
            fleet.write_box(*office.split("/"), f"{number + 1}01")
        fleet.merge_change("two companies")
    made = Lab(fleet, Holdings("prune", stack.environment()), folder / "log")
    try:
        assert made.sync().is_clean
        yield made
    finally:
        made.holdings.remove(made.log)


def test_an_office_that_was_taken_out_goes_after_its_grace_period_and_alone(lab: Lab) -> None:
    before = lab.list_running()
    assert len(before) == 5
    lab.remove("boxes/acme/salto.yaml")
    lab.merge("Salto closes")
    done = lab.sync()
    assert (done.is_clean, done.stopped) == (True, ())
    assert [(one.key, one.until) for one in done.waiting] == [("acme/salto", lab.now + GRACE)]
    told = lab.run_riti("plan")
    assert f"acme/salto is left as it is until {lab.now + GRACE:%Y-%m-%d %H:%M:%S} UTC" in told.stdout
    assert told.returncode == 0
    lab.now += GRACE - timedelta(seconds=1)
    assert lab.sync().stopped == ()
    assert lab.list_running() == before
    lab.now += timedelta(seconds=1)
    done = lab.sync()
    assert (done.is_clean, done.stopped) == (True, ("acme/salto",))
    lab.wait_gone("acme/salto")
    gone = lab.fleet.names("acme/salto").job_id
    assert lab.list_running() == {job: found for job, found in before.items() if job != gone}


def test_after_a_week_nothing_of_it_is_left_and_all_of_others(lab: Lab) -> None:
    others = {key: lab.find_traces(key) for key in OFFICES if key != "acme/salto"}
    assert all(len(traces) == 9 for traces in others.values()), others
    assert len(lab.find_traces("acme/salto")) == 9
    lab.now += WEEK
    done = lab.sync()
    assert (done.is_clean, done.purged) == (True, ("acme/salto",)), done.problems
    assert lab.find_traces("acme/salto") == []
    assert {key: lab.find_traces(key) for key in others} == others
    assert lab.sync().purged == ()


def test_an_office_that_comes_back_is_whole_again(lab: Lab) -> None:
    lab.fleet.write_box("acme", "salto", "302")
    lab.merge("Salto opens again")
    assert lab.sync().is_clean
    assert len(lab.find_traces("acme/salto")) == 9
    assert len(lab.list_running()) == 5


def test_a_merge_that_takes_out_a_company_is_held_until_it_is_approved(lab: Lab) -> None:
    before = lab.list_running()
    lab.remove("companies/acme.yaml", *(f"boxes/{key}.yaml" for key in OFFICES if key.startswith("acme/")))
    (lab.fleet.work / "fleet/boxes/acme").rmdir()
    lab.merge("Acme leaves")
    for _ in range(2):
        done = lab.sync()
        assert (done.stopped, done.is_clean) == ((), False)
        [problem] = done.held
        assert "acme/montevideo, acme/rivera, acme/salto" in problem.what
        assert "`removals: [acme]`" in problem.mend
        lab.now += WEEK
    told = lab.run_riti("plan")
    assert told.returncode == 1
    assert "approve it in fleet/fleet.yaml with `removals: [acme]`" in told.stderr
    assert lab.list_running() == before
    file = lab.fleet.work / "fleet" / "fleet.yaml"
    file.write_text(file.read_text() + "removals: [acme]\n")
    lab.merge("Acme may go")
    assert '"removals": [\n    "acme"\n  ]' in (lab.fleet.work / "rendered/_fleet/manifest.json").read_text()
    done = lab.sync()
    assert (done.stopped, done.problems, done.held) == (
        ("acme/montevideo", "acme/rivera", "acme/salto"),
        (),
        (),
    )
    for key in done.stopped:
        lab.wait_gone(key)
    assert lab.list_running().keys() == {
        lab.fleet.names(key).job_id for key in ("acme-sur/salto", "lighthouse/one")
    }


@pytest.mark.parametrize("lost", ["fleet/fleet.yaml", "rendered", "rendered/acme-sur", "fleet"])
def test_an_emptied_repository_changes_nothing(lab: Lab, lost: str, tmp_path: Path) -> None:
    before, held = lab.list_running(), lab.holdings.dump()
    clone, branch = tmp_path / "clone", lost.replace("/", "-")

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=clone, capture_output=True, text=True, check=True, env=os.environ
        )
        return done.stdout.strip()

    with know_author():
        subprocess.run(["git", "clone", "--quiet", lab.fleet.forge, clone], check=True, capture_output=True)
        git("rm", "-r", "--quiet", lost)
        git("commit", "--quiet", "-m", "oh")
        git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    with pytest.raises(GitopsError):
        lab.sync(branch)
    assert (lab.list_running(), lab.holdings.dump()) == (before, held)
