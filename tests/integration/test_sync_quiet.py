"""A sync that has nothing to do asks three questions and writes nothing; what moved is repaired, and only that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.reconcile.restarts import Restarts
from ritilib.sync.synced import Synced
from tests.integration.fleets import Fleet, hold_image, know_author, make_fleet
from tests.integration.holdings import Holdings
from tests.integration.relay import Ledger, hold_relays

MONTEVIDEO, SALTO = "acme/montevideo", "acme/salto"


@dataclass(frozen=True)
class Lab:
    """A synced fleet of a lighthouse and one box; the tests add to it in their order."""

    fleet: Fleet
    holdings: Holdings
    ledger: Ledger
    through: dict[str, str]
    log: Path

    def sync(self, *replace: str, wait: bool = True, restarts: Restarts | None = None) -> Synced:
        """One cycle through the relays; the ledger then holds it alone."""
        self.ledger.clear()
        return self.fleet.sync(replace=replace, wait=wait, through=self.through, restarts=restarts)

    def read_job(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.holdings.nomad("GET", f"job/{self.fleet.names(key).job_id}")
        return found

    def register(self, job: dict[str, Any]) -> None:
        """What a hand does with Nomad's own tool."""
        self.holdings.nomad("POST", "jobs", {"Job": job})

    def read_live(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.holdings.read_kv()[self.fleet.names(key).kv_key])
        return found

    def merge(self, message: str) -> None:
        with know_author():
            self.fleet.merge_change(message)

    def find_allocation(self, key: str) -> str:
        """The id of the one allocation of this unit that is to run, once it does."""
        job_id = self.fleet.names(key).job_id

        def list_ids() -> list[str]:
            found = [one for one in self.holdings.list_allocations() if one["JobID"] == job_id]
            return [
                one["ID"]
                for one in found
                if (one["ClientStatus"], one["DesiredStatus"]) == ("running", "run")
            ]

        wait_until(lambda: len(list_ids()) == 1, 60, f"waiting for {key} to run once", self.log)
        return list_ids()[0]


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("quiet")
    with know_author():
        fleet = make_fleet(stack, folder, "quiet", 4302)
        fleet.write_box("acme", "montevideo", "101")
        fleet.merge_change("Acme gets an office")
    ledger, holdings = Ledger(), Holdings("quiet", stack.environment())
    with hold_relays(stack.environment(), ledger) as through:
        made = Lab(fleet, holdings, ledger, through, folder / "log")
        try:
            assert made.sync().is_clean
            yield made
        finally:
            holdings.remove(made.log)


MOST_REQUESTS = 15  # for each PBX that is touched
HELD_REQUESTS = 2  # one that waits is parsed and planned, once
NOTING = ("the values", "their index")  # at the end of a cycle that wrote
QUESTIONS = [
    "NOMAD GET /v1/jobs?meta=true&prefix=quiet--&namespace=default",
    "CONSUL GET /v1/kv/riti/quiet/inventory/?recurse",
    "CONSUL GET /v1/kv/riti/quiet/pbx/?keys=True",
]


def test_nothing_to_do_is_three_questions(lab: Lab) -> None:
    assert lab.sync().changed == ()
    assert lab.ledger.requests == QUESTIONS


def test_a_job_edited_by_hand_is_put_right(lab: Lab) -> None:
    before, allocation = lab.read_job(MONTEVIDEO), lab.find_allocation(MONTEVIDEO)
    lab.register({**before, "Priority": before["Priority"] + 10})
    done = lab.sync()
    assert (done.changed, done.problems, done.held) == ((MONTEVIDEO,), (), ())
    assert lab.read_job(MONTEVIDEO)["Priority"] == before["Priority"]
    assert lab.find_allocation(MONTEVIDEO) == allocation
    assert not [one for one in lab.ledger.requests if one.startswith("VAULT")]
    assert_quiet(lab)


def test_a_job_stopped_by_hand_runs_again(lab: Lab) -> None:
    stopped = lab.find_allocation(MONTEVIDEO)
    lab.holdings.nomad("DELETE", f"job/{lab.fleet.names(MONTEVIDEO).job_id}")
    assert lab.sync().changed == (MONTEVIDEO,)
    assert lab.find_allocation(MONTEVIDEO) != stopped
    assert_quiet(lab)


@pytest.mark.parametrize("hand", ["PUT", "DELETE"])
def test_a_value_changed_by_hand_is_put_right(lab: Lab, hand: str) -> None:
    before = lab.read_live(MONTEVIDEO)
    body = {**before, "files": {**before["files"], "extensions.conf": "; gone"}} if hand == "PUT" else None
    lab.holdings.consul(hand, f"kv/{lab.fleet.names(MONTEVIDEO).kv_key}", body)
    done = lab.sync()
    assert (done.changed, done.problems) == ((MONTEVIDEO,), ())
    assert lab.read_live(MONTEVIDEO) == before
    assert {one.split()[0] for one in lab.ledger.writes} == {"CONSUL"}
    assert_quiet(lab)


@pytest.mark.parametrize("hand", ["PUT", "DELETE"])
def test_a_boxes_value_changed_by_hand_is_put_right(lab: Lab, hand: str) -> None:
    key, pbx = lab.fleet.names(MONTEVIDEO).box_kv_key, lab.fleet.names(MONTEVIDEO).kv_key
    before = lab.holdings.read_kv()
    lab.holdings.consul(hand, f"kv/{key}", {"files": {}} if hand == "PUT" else None)
    done = lab.sync()
    assert (done.changed, done.healed, done.problems) == ((MONTEVIDEO,), {MONTEVIDEO}, ())
    after = lab.holdings.read_kv()
    assert (after[key], after[pbx]) == (before[key], before[pbx])
    assert {one.split()[0] for one in lab.ledger.writes} == {"CONSUL"}
    assert_quiet(lab)


def test_a_foreign_job_with_our_name_is_left_alone(lab: Lab) -> None:
    names = lab.fleet.names(SALTO)
    task = {"Name": "any", "Driver": "docker", "Config": {"image": "riti/pause:dev"}}
    group = {"Name": "any", "Count": 0, "Tasks": [task]}
    lab.register({"ID": names.job_id, "Name": names.job_id, "Datacenters": ["*"], "TaskGroups": [group]})
    foreign = lab.read_job(SALTO)["JobModifyIndex"]
    lab.fleet.write_box("acme", "salto", "201")
    lab.merge("Salto opens")
    done = lab.sync()
    assert done.changed == (MONTEVIDEO,)  # its peers now name Salto
    assert [one for one in done.problems if names.job_id in one.what]
    assert lab.read_job(SALTO)["JobModifyIndex"] == foreign
    assert not [key for key in lab.holdings.read_kv() if SALTO in key]
    assert not [path for path in lab.holdings.read_documents() if SALTO in path]
    again = lab.sync()
    assert (again.changed, again.problems, lab.ledger.writes) == ((), done.problems, [])
    lab.holdings.nomad("DELETE", f"job/{names.job_id}?purge=true")
    assert lab.sync().changed == (SALTO,)
    assert_quiet(lab)


def test_the_questions_are_as_many_with_more_boxes(lab: Lab) -> None:
    lab.fleet.write_box("acme", "rivera", "301")
    lab.merge("Rivera opens")
    done = lab.sync(wait=False)
    assert done.is_clean
    assert len(lab.holdings.read_jobs()) == 4
    # a new one, and its two peers with one secret more each
    assert len(lab.ledger.requests) <= MOST_REQUESTS * len(done.changed), lab.ledger.requests
    assert_quiet(lab)


def test_a_change_that_replaces_tasks_goes_in_waves_and_each_is_judged(lab: Lab, next_image: str) -> None:
    """The PBXes have no call, so the canary is replaced at once; a word replaces the others before their time."""
    keys = (MONTEVIDEO, "acme/rivera", SALTO)
    before = {key: (lab.read_job(key)["Version"], lab.find_allocation(key)) for key in keys}
    plans = {key: lab.read_live(key) for key in keys}
    settings = (lab.fleet.work / "fleet" / "fleet.yaml").read_text()
    lab.fleet.write("fleet.yaml", settings.replace("pbx: riti/pbx:dev", f"pbx: {next_image}"))
    lab.merge("PBXes run the next image")
    done = lab.sync()
    assert (len(done.changed), done.problems) == (1, ())
    [canary] = done.changed
    # how often its word is looked at, and its allocation looked for, is a matter of time
    often = ("/client/fs/", "/allocations")
    asked = [one for one in lab.ledger.requests if not any(word in one for word in often)]
    others = len(done.held) * HELD_REQUESTS + len(QUESTIONS) + len(NOTING)
    assert len(asked) <= MOST_REQUESTS + others, asked
    others = tuple(key for key in keys if key != canary)
    assert [one.what.split()[0] for one in done.held] == list(others)
    assert find_image(lab.read_job(canary)) == next_image
    assert lab.find_allocation(canary) != before[canary][1]
    assert {key: (lab.read_job(key)["Version"], lab.find_allocation(key)) for key in others} == {
        key: before[key] for key in others
    }
    again = lab.sync(restarts=done.restarts)
    assert (again.changed, lab.ledger.requests) == ((), QUESTIONS), "who waits is known"
    assert all("its wave comes after wave 1 of 3, not before" in one.what for one in again.held)
    assert lab.sync(*others).is_clean
    assert {key: lab.read_live(key) for key in keys} == plans, "every door is open again"
    assert_quiet(lab)


@pytest.fixture
def next_image(stack: Stack) -> Iterator[str]:
    with hold_image(stack, "next") as name:
        yield name


def find_image(job: dict[str, Any]) -> str:
    [image] = [task["Config"]["image"] for task in job["TaskGroups"][0]["Tasks"] if task["Name"] == "pbx"]
    return str(image)


def assert_quiet(lab: Lab) -> None:
    """Nothing is left to do, and seeing that takes the same three questions."""
    done = lab.sync()
    assert (done.changed, done.held, done.problems) == ((), (), ())
    assert lab.ledger.requests == QUESTIONS
