"""Consul shows an older state, or has lost what was written there: nobody mends it, and it is as the commit wishes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.reconcile.turns import Turns, read_turns
from tests.faults.outages import DEADLINE_S, MONTEVIDEO, SALTO, Served, hold_served
from tests.faults.rows import SERVERS
from tests.faults.standins import TakingFleet
from tests.faults.witness import Witness, list_places
from tests.integration.fleets import Fleet

LOST = SERVERS[3]
NAME = "older"
INVENTORY = f"riti/{NAME}/inventory/"
UNITS = (MONTEVIDEO, SALTO, "lighthouse/one")


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp(NAME), NAME, 4332, kind=TakingFleet) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


@pytest.mark.row(LOST)
def test_consul_is_restored_from_an_older_snapshot(served: Served, witness: Witness) -> None:
    """Two commits older: its values, inventory and the fleet's own entry; Vault and Nomad are as they were."""
    served.begin_call(witness)
    witness.let_go_back(served.fleet, *UNITS)
    snapshot = served.servers.ask("CONSUL_HTTP", "GET", "snapshot").content
    older = served.number
    for _ in range(2):
        served.wait_applied(served.merge_and_tell())
    served.servers.ask("CONSUL_HTTP", "PUT", "snapshot", data=snapshot)
    log = served.controller.log
    wait_until(served.has_newest, DEADLINE_S, f"waiting for {served.number} instead of {older}", log)
    served.wait_applied(served.merge_and_tell())
    served.assert_alive()


@pytest.mark.row(LOST)
def test_a_restore_of_consul_ends_no_grace_period(served: Served, witness: Witness) -> None:
    """An office that was taken out before the snapshot is left alone, and comes back whole."""
    served.begin_call(witness)
    witness.let_go_back(served.fleet, *UNITS)
    place = served.fleet.work / "fleet/boxes" / f"{SALTO}.yaml"
    text = place.read_text()
    place.unlink()
    commit = served.fleet.merge_change("Salto closes")
    served.controller.tell_push()
    served.controller.wait_for("cycle", commit=commit, waiting=1)
    snapshot = served.servers.ask("CONSUL_HTTP", "GET", "snapshot").content
    served.servers.ask("CONSUL_HTTP", "PUT", "snapshot", data=snapshot)
    place.write_text(text)
    served.wait_applied(served.merge_and_tell())
    served.assert_alive()


def find_turns(served: Served, key: str) -> Turns | None:
    """What Consul says of a PBX's instances."""
    answer = served.servers.ask("CONSUL_HTTP", "GET", f"kv/{served.fleet.names(key).generation}?raw")
    return read_turns(answer.content if answer.status_code == 200 else None)


@pytest.mark.row(LOST)
def test_consul_is_restored_to_before_an_instance_began(served: Served, witness: Witness) -> None:
    """Peers would go on calling the address that nobody has any more."""
    served.begin_call(witness)
    witness.let_go_back(served.fleet, *UNITS)
    witness.let_move(served.fleet, SALTO)
    before = find_turns(served, SALTO)
    assert before
    snapshot = served.servers.ask("CONSUL_HTTP", "GET", "snapshot").content
    served.servers.ask("NOMAD", "POST", f"allocation/{before.newest.allocation}/stop")
    log = served.controller.log

    def has_moved() -> bool:
        now = find_turns(served, SALTO)
        return now is not None and now.generation == before.generation + 1

    wait_until(has_moved, DEADLINE_S, "waiting for the next instance", log)
    served.wait_running()
    later = find_turns(served, SALTO)
    served.servers.ask("CONSUL_HTTP", "PUT", "snapshot", data=snapshot)
    wait_until(has_moved, DEADLINE_S, "waiting until Consul knows it again", log)
    now = find_turns(served, SALTO)
    assert later and now and now.newest == later.newest
    served.assert_alive()


@pytest.mark.parametrize(
    "lost",
    [
        INVENTORY,
        f"{INVENTORY}_fleet",
        f"riti/{NAME}/pbx/",
        f"riti/{NAME}/generation/",
        f"riti/{NAME}/generation/{SALTO}",
        f"riti/{NAME}/",
    ],
)
@pytest.mark.row(LOST)
def test_keys_that_are_lost_are_made_again(served: Served, witness: Witness, lost: str) -> None:
    """The last of them is all that RITI ever wrote to Consul's keys, the leader's lock with it."""
    served.begin_call(witness)
    keys = list(served.servers.ask("CONSUL_HTTP", "GET", f"kv/{lost}?keys").json())
    turns = {key: find_turns(served, key) for key in (MONTEVIDEO, SALTO)}
    assert all(turns.values())
    served.servers.ask("CONSUL_HTTP", "DELETE", f"kv/{lost}?recurse")
    witness.hand.update({f"key {key}": None for key in keys})
    served.wait_applied(served.merge_and_tell())
    wanted = {place for key in UNITS for place in list_places(served.fleet, key) if place.startswith("key ")}
    wanted.discard(f"key {served.fleet.names('lighthouse/one').kv_key}")

    def is_whole() -> bool:
        return wanted <= served.servers.read_state().things.keys()

    wait_until(is_whole, DEADLINE_S, f"waiting for {wanted}", served.controller.log)
    for key, before in turns.items():
        now = find_turns(served, key)
        assert now and before and now.newest == before.newest
    served.assert_alive()
