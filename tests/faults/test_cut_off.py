"""A Nomad client that loses its servers: its PBXes go on, others follow them, and when it is back the older ones end.

What is asked here is the controller's part and Nomad's. That one which is back soon keeps its PBXes, and which address
each of two instances has, is seen in tests/integration/test_pair.py with real PBXes, boxes and calls.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack.processes import poll, wait_until
from ritilib.devstack.stack import Stack
from tests.faults.agents import Agent, allow_own_node, cut_from_servers, hold_client
from tests.faults.outages import DEADLINE_S, MONTEVIDEO, SALTO, Served, hold_served
from tests.faults.rows import SERVERS
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet

CUT = SERVERS[7]
NAME = "cut"
STAYS_S = 5.0
LOST_AFTER = {"RITI_LOST_AFTER": "2"}


@pytest.fixture(scope="module")
def client(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with hold_client(stack, tmp_path_factory.mktemp("client"), "riti-far") as made:
        yield made


@pytest.fixture(scope="module")
def served(stack: Stack, client: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp(NAME), NAME, 4334, LOST_AFTER) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


def wait_cut(served: Served, client: Agent) -> None:
    def is_cut() -> bool:
        return {state for held in list_instances(served).values() for _, state in held} == {"unknown"}

    wait_until(is_cut, DEADLINE_S, "waiting until Nomad misses its client", client.log)


def list_instances(served: Served) -> dict[str, list[tuple[str, str]]]:
    """unit → id and state of each allocation that runs or may run."""
    jobs = {served.fleet.names(key).job_id: key for key in (MONTEVIDEO, SALTO)}
    found: dict[str, list[tuple[str, str]]] = {key: [] for key in jobs.values()}
    for one in served.servers.get("NOMAD", "allocations"):
        if one["JobID"] in jobs and one["ClientStatus"] in ("pending", "running", "unknown"):
            found[jobs[one["JobID"]]].append((one["ID"], one["ClientStatus"]))
    return found


def find_pids(served: Served, key: str) -> set[str]:
    return {pid for pid, one in served.find_pids().items() if one == key}


@pytest.mark.row(CUT)
def test_a_client_that_loses_its_servers_keeps_its_pbxes(
    served: Served, stack: Stack, client: Agent, witness: Witness
) -> None:
    """Nobody else has room: nothing happens to them, and the same ones come back."""
    served.begin_call(witness)
    before = list_instances(served)
    pids = served.find_pids()
    ids = {key: [one for one, _ in held] for key, held in before.items()}
    assert all(len(one) == 1 for one in ids.values())
    with cut_from_servers(stack):
        wait_cut(served, client)
        served.wait_applied(served.merge_and_tell())

        def is_other() -> bool:
            now = {key: [one for one, _ in held] for key, held in list_instances(served).items()}
            return now != ids or served.find_pids() != pids

        assert not poll(is_other, STAYS_S), (ids, list_instances(served), pids, served.find_pids())
    back = {key: [(one, "running") for one in held] for key, held in ids.items()}
    wait_until(lambda: list_instances(served) == back, DEADLINE_S, f"waiting for {back}", client.log)
    assert served.find_pids() == pids
    served.wait_applied(served.merge_and_tell())
    served.assert_alive()


@pytest.mark.row(CUT)
def test_a_client_that_comes_back_ends_what_was_replaced_with_its_last_call(
    served: Served, stack: Stack, client: Agent, witness: Witness
) -> None:
    served.begin_call(witness)
    witness.let_move(served.fleet, MONTEVIDEO, SALTO)
    older = {key: find_pids(served, key) for key in (MONTEVIDEO, SALTO)}
    assert all(len(one) == 1 for one in older.values())
    with client.paused():  # the stack's own node would be cut off from its own server, too
        allow_own_node(stack, True)
        try:
            wait_cut(served, client)
            commit = served.merge_and_tell()

            def is_replaced() -> bool:
                return all(len(find_pids(served, key)) == 2 for key in older)

            wait_until(is_replaced, DEADLINE_S, "waiting for the second instances", client.log)
        finally:
            allow_own_node(stack, False)
        served.wait_applied(commit)
    wait_until(
        lambda: not older[SALTO] & find_pids(served, SALTO), DEADLINE_S, "waiting for Salto's end", client.log
    )
    assert older[MONTEVIDEO] < find_pids(served, MONTEVIDEO), "it has a call"
    witness.release_calls()
    served.fleet.say_calls(MONTEVIDEO, 0)
    wait_until(
        lambda: all(len(find_pids(served, key)) == 1 for key in older),
        DEADLINE_S,
        "waiting for Montevideo's end",
        client.log,
    )
    assert not any(older[key] & find_pids(served, key) for key in older)
    served.wait_applied(served.merge_and_tell())
    served.assert_alive()
