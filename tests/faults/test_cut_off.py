"""A Nomad client that loses its servers: its PBXes go on, none runs twice, and it comes back with the same ones.

Pairs of overlay addresses (DESIGN, "Two instances never share an address") are not built yet: today a PBX has one
address, and `disconnect { replace = false }` keeps Nomad from starting a second instance of it.
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
LOST_AFTER_S = 600.0  # jobs/parts/single_instance.nomad.hcl.j2


@pytest.fixture(scope="module")
def client(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with hold_client(stack, tmp_path_factory.mktemp("client"), "riti-far") as made:
        yield made


@pytest.fixture(scope="module")
def served(stack: Stack, client: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp(NAME), NAME, 4334) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


def list_instances(served: Served) -> dict[str, list[tuple[str, str]]]:
    """unit → id and state of each allocation that runs or may run."""
    jobs = {served.fleet.names(key).job_id: key for key in (MONTEVIDEO, SALTO)}
    found: dict[str, list[tuple[str, str]]] = {key: [] for key in jobs.values()}
    for one in served.servers.get("NOMAD", "allocations"):
        if one["JobID"] in jobs and one["ClientStatus"] in ("pending", "running", "unknown"):
            found[jobs[one["JobID"]]].append((one["ID"], one["ClientStatus"]))
    return found


@pytest.mark.parametrize(
    "longer_s", [STAYS_S, pytest.param(LOST_AFTER_S + 60, marks=pytest.mark.slow)], ids=["short", "11 min"]
)
@pytest.mark.row(CUT)
def test_a_client_that_loses_its_servers_keeps_its_pbxes(
    served: Served, stack: Stack, client: Agent, witness: Witness, longer_s: float
) -> None:
    served.begin_call(witness)
    before = list_instances(served)
    pids = served.find_pids()
    ids = {key: [one for one, _ in held] for key, held in before.items()}
    assert all(len(one) == 1 for one in ids.values())
    with cut_from_servers(stack):

        def is_cut() -> bool:
            return {state for held in list_instances(served).values() for _, state in held} == {"unknown"}

        wait_until(is_cut, DEADLINE_S, "waiting until Nomad misses its client", client.log)
        allow_own_node(stack, True)  # there is room for another instance
        try:
            commit = served.merge_and_tell()
            served.wait_applied(commit)

            def is_other() -> bool:
                now = {key: [one for one, _ in held] for key, held in list_instances(served).items()}
                return now != ids or served.find_pids() != pids

            assert not poll(is_other, longer_s), (ids, list_instances(served), pids, served.find_pids())
        finally:
            allow_own_node(stack, False)
    back = {key: [(one, "running") for one in held] for key, held in ids.items()}
    wait_until(lambda: list_instances(served) == back, DEADLINE_S, f"waiting for {back}", client.log)
    assert served.find_pids() == pids
    served.wait_applied(served.merge_and_tell())
    served.assert_alive()
