"""A sync that is killed right after any of its writes, and run again, ends where an undisturbed one ends."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ritilib.devstack.stack import Stack
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings
from tests.integration.relay import Ledger, hold_relays

SAMPLED = 3  # of so many moments to die at the usual suite tries one, the slow suite each
READS_OF_A_QUIET_SYNC = 3


@dataclass(frozen=True)
class Lab:
    """A fleet with two merges, and the relays through which its syncs go."""

    fleet: Fleet
    holdings: Holdings
    first: str  # a lighthouse and two boxes
    second: str  # an extension and a third box more
    ledger: Ledger
    through: dict[str, str]
    log: Path

    def sync_and_die(self, commit: str, is_time: Callable[[list[str]], bool]) -> None:
        """`riti sync`, killed when a write has been made, is not answered yet, and is_time says so of all so far."""
        self.ledger.clear()
        with self.fleet.start_sync(commit, self.through, self.log) as process:
            self.ledger.after_write = lambda writes: _kill(process) if is_time(writes) else None
            process.wait(timeout=60)
        self.ledger.after_write = lambda _: None
        assert process.returncode == -signal.SIGKILL, self.log.read_text()[-2000:]

    def start_from(self, commit: str | None) -> None:
        """The servers as they are after a sync of this commit; None: as bootstrap left them."""
        self.holdings.remove(self.log)
        if commit:
            assert self.fleet.sync(commit, wait=False).is_clean

    def end_with(self, commit: str, wait: bool = False) -> dict[str, Any]:
        """Sync to the end, see that one more sync has nothing to do, and give what the servers hold then."""
        done = self.fleet.sync(commit, wait=wait)
        assert done.is_clean, (done.held, done.problems)
        self.ledger.clear()
        assert self.fleet.sync(commit, through=self.through).changed == ()
        assert self.ledger.writes == []
        assert len(self.ledger.requests) == READS_OF_A_QUIET_SYNC, self.ledger.requests
        return self.holdings.dump()


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("killed")
    with know_author():
        fleet = make_fleet(stack, folder, "killed", 4301)
        fleet.write_box("acme", "montevideo", "101")
        fleet.write_box("acme", "salto", "201")
        first = fleet.merge_change("Acme gets two offices")
        fleet.write_box("acme", "montevideo", "101", "102")
        fleet.write_box("acme", "rivera", "301")
        second = fleet.merge_change("Montevideo gets a second telephone; Rivera opens")
    ledger, holdings = Ledger(), Holdings("killed", stack.environment())
    with hold_relays(stack.environment(), ledger) as through:
        made = Lab(fleet, holdings, first, second, ledger, through, folder / "sync.log")
        try:
            yield made
        finally:
            holdings.remove(made.log)


@contextmanager
def nothing_placed(lab: Lab) -> Iterator[None]:
    """Nomad takes jobs and runs none: what is compared is written by the sync alone, and each round is short."""
    node = lab.holdings.nomad("GET", "nodes")[0]["ID"]
    path = f"node/{node}/eligibility"
    lab.holdings.nomad("POST", path, {"NodeID": node, "Eligibility": "ineligible"})
    try:
        yield
    finally:
        lab.holdings.nomad("POST", path, {"NodeID": node, "Eligibility": "eligible"})


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def has_made(number: int) -> Callable[[list[str]], bool]:
    return lambda writes: len(writes) == number


def try_moments(lab: Lab, before: str | None, commit: str, moments: slice) -> None:
    """Die at each of these writes of a sync from `before` to `commit`; every time the end is the same."""
    with nothing_placed(lab):
        lab.start_from(before)
        lab.ledger.clear()
        assert lab.fleet.sync(commit, wait=False, through=lab.through).is_clean
        writes = list(lab.ledger.writes)
        wanted = lab.end_with(commit)
        check_holdings(wanted, lab.fleet.name, len(lab.fleet.read_desired(commit).units))
        for write in range(1, len(writes) + 1)[moments]:
            lab.start_from(before)
            lab.sync_and_die(commit, has_made(write))
            assert lab.ledger.writes == writes[:write]
            ended = lab.end_with(commit)
            assert ended == wanted, f"killed after write {write}, {writes[write - 1]}"


def check_holdings(held: dict[str, Any], fleet: str, units: int) -> None:
    """The undisturbed state is what it should be: each unit whole, its value naming its document's version."""
    jobs = {name: one for name, one in held.items() if name.startswith("job ")}
    written = {name: one for name, one in held.items() if name.startswith(f"key riti/{fleet}/pbx/")}
    of_boxes = {name: one for name, one in written.items() if "/box/" in name}
    values = {name: one for name, one in written.items() if name not in of_boxes}
    assert len(jobs) == len(values) == units
    assert len(of_boxes) == sum("/lighthouse/" not in name for name in values)
    assert [one["Version"] for one in jobs.values()] == [0] * units
    for name, value in values.items():
        company, box = name.split("/")[3:5]
        path = f"lighthouse/{box}" if company == "lighthouse" else f"pbx/{company}/{box}"
        assert value["secrets_version"] == held[f"document {path}"]["version"]
    for name, value in of_boxes.items():
        company, box = name.split("/")[3:5]
        assert value["secrets_version"] == held[f"document box/{company}/{box}"]["version"]
    for pair, other in list_pairs(held):
        assert pair == other


def list_pairs(held: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Both ends' secret of every pair of PBXes, and of every PBX with its box."""
    documents = {
        name.split(" ")[1]: one["data"] for name, one in held.items() if name.startswith("document ")
    }
    for path, data in documents.items():
        if path.startswith("pbx/"):
            _, company, box = path.split("/")
            yield data["iax"]["box"], documents[f"box/{company}/{box}"]["iax"]["cloud"]
            for section, secret in data["iax"].items():
                if section.startswith("pbx-"):
                    peer = section.removeprefix("pbx-")
                    yield secret, documents[f"pbx/{company}/{peer}"]["iax"][f"pbx-{box}"]


def test_killed_in_the_first_sync(lab: Lab) -> None:
    try_moments(lab, None, lab.first, slice(0, None, SAMPLED))


def test_killed_in_an_update(lab: Lab) -> None:
    try_moments(lab, lab.first, lab.second, slice(1, None, SAMPLED))


@pytest.mark.slow
def test_killed_at_any_moment_of_the_first_sync(lab: Lab) -> None:
    try_moments(lab, None, lab.first, slice(None))


@pytest.mark.slow
def test_killed_at_any_moment_of_an_update(lab: Lab) -> None:
    try_moments(lab, lab.first, lab.second, slice(None))


def test_killed_while_jobs_run(lab: Lab) -> None:
    """The next sync waits for the jobs that the killed one registered; none is placed twice, none restarts."""
    lab.start_from(None)
    former = {one["ID"] for one in lab.holdings.list_allocations()}
    lab.sync_and_die(
        lab.first, lambda writes: writes[-1].startswith("NOMAD POST /v1/job/killed--acme--salto")
    )
    lab.end_with(lab.first, wait=True)
    running = list_running(lab.holdings)
    assert len(running) == len(lab.fleet.read_desired(lab.first).units)
    # what Montevideo's running PBX reloads is written; the intent of it is not closed
    lab.sync_and_die(lab.second, lambda writes: "riti/killed/pbx" in writes[-1])
    lab.end_with(lab.second, wait=True)
    later = list_running(lab.holdings)
    assert running < later
    assert [job for job, *_ in later - running] == ["killed--acme--rivera"]
    assert len(lab.holdings.list_allocations()) == len(former) + len(later)


def list_running(holdings: Holdings) -> set[tuple[str, ...]]:
    """Of each running allocation its job, its id and when each of its tasks started."""
    return {
        (
            one["JobID"],
            one["ID"],
            *sorted(f"{name} {task['StartedAt']}" for name, task in one["TaskStates"].items()),
        )
        for one in holdings.list_allocations()
        if one["ClientStatus"] == "running"
    }
