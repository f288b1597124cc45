"""The witness on the real servers: a quiet row has no finding, and harm that nobody owned up to is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack.processes import poll
from ritilib.devstack.stack import Stack
from tests.faults.standins import StandinFleet
from tests.faults.witness import Witness, watch
from tests.integration.fleets import know_author, make_fleet
from tests.integration.holdings import Holdings

DEADLINE_S = 60
SALTO, RIVERA = "acme/salto", "acme/rivera"


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinFleet]:
    """Two offices that run."""
    folder = tmp_path_factory.mktemp("witness")
    with know_author():
        made = StandinFleet(**vars(make_fleet(stack, folder, "witness", 4330)))
    made.write_box("acme", "salto", "201")
    made.write_box("acme", "rivera", "301")
    made.merge_change("two offices")
    done = made.sync()
    assert done.is_clean, done.problems
    yield made
    Holdings("witness", stack.environment()).remove(folder / "log")


@pytest.fixture
def watched(env: dict[str, str], fleet: StandinFleet) -> Iterator[Witness]:
    with watch(env, fleet) as made:
        yield made


def test_a_merge_and_drift_that_is_healed_are_no_findings(fleet: StandinFleet, watched: Witness) -> None:
    watched.hold_calls(fleet, SALTO)
    fleet.write_box("acme", "salto", "201", "202")
    fleet.merge_change("a second telephone")
    assert fleet.sync().changed == (RIVERA, SALTO)
    watched.stop_job(fleet.names(RIVERA).job_id)
    assert fleet.sync().healed == {RIVERA}
    assert watched.judge().is_empty, watched.judge()


def test_what_nobody_owned_up_to_is_found(fleet: StandinFleet, watched: Witness) -> None:
    salto, rivera = fleet.names(SALTO), fleet.names(RIVERA)
    watched.write_key("foreign/key", b"theirs")
    watched.hold_calls(fleet, RIVERA)
    servers = watched.servers
    # a key deleted and made again, a foreign one written, a role deleted, a job stopped and registered again
    held = servers.ask("CONSUL_HTTP", "GET", f"kv/{salto.kv_key}?raw").content
    servers.ask("CONSUL_HTTP", "DELETE", f"kv/{salto.kv_key}")
    servers.ask("CONSUL_HTTP", "PUT", f"kv/{salto.kv_key}", data=held)
    servers.ask("CONSUL_HTTP", "PUT", "kv/foreign/key", data=b"ours")
    role = next(one for one in servers.get("CONSUL_HTTP", "acl/roles") if one["Name"] == salto.role)
    servers.ask("CONSUL_HTTP", "DELETE", f"acl/role/{role['ID']}")
    job = servers.get("NOMAD", f"job/{rivera.job_id}")
    servers.ask("NOMAD", "DELETE", f"job/{rivera.job_id}")
    assert poll(lambda: watched.judge().cuts != (), DEADLINE_S)
    servers.get("NOMAD", "jobs", "PUT", {"Job": job})
    # an older commit's value over a newer one's
    [older, *_] = [
        one.value
        for one in watched.followed.list_writes()
        if one.place == f"key {salto.kv_key}" and one.value
    ]
    servers.ask("CONSUL_HTTP", "PUT", f"kv/{salto.kv_key}", data=older.replace(b"201", b"299"))

    def is_seen() -> bool:
        nonlocal found
        found = watched.judge()
        return len(found.deletions) >= 3 and len(found.lost) >= 2 and len(found.cuts) >= 1

    found = watched.judge()
    assert poll(is_seen, DEADLINE_S), found
    assert f"key {salto.kv_key} was deleted and made again" in found.deletions
    assert f"consul role {salto.role} is gone" in found.deletions
    assert f"job {rivera.job_id} was stopped meanwhile" in found.deletions
    assert "key foreign/key is not the controller's, and was written" in found.lost
    assert f"key {salto.kv_key} was written as no commit wishes it" in found.lost
    assert found.cuts == (f"{rivera.job_id} had a call, and its allocation ended",)
