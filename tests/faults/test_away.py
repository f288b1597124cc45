"""Real servers that are restarted, away, without a leader or sealed, while a PBX has a call (rule 10).

The PBXes run at a Nomad client of its own, so that Nomad's servers can go and leave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ritilib.devstack import stack as stacks
from ritilib.devstack.processes import poll
from ritilib.devstack.stack import Stack
from tests.faults.agents import (
    Agent,
    allow_own_node,
    has_leader,
    hold_client,
    hold_consul_peer,
    hold_nomad_peer,
)
from tests.faults.outages import DEADLINE_S, MONTEVIDEO, SALTO, Served, hold_served
from tests.faults.rows import SERVERS
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet

CONSUL, NOMAD, VAULT, _, AWAY = SERVERS[:5]
ROW_OF = {"Consul": CONSUL, "Nomad": NOMAD, "Vault": VAULT}
NAME = "away"
SHORT_S, LONG_S = 20.0, 900.0
LEADERLESS_S = 3.0


@pytest.fixture(scope="module")
def client(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with hold_client(stack, tmp_path_factory.mktemp("client"), "riti-client") as made:
        yield made


@pytest.fixture(scope="module")
def served(stack: Stack, client: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp(NAME), NAME, 4333) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


@contextmanager
def stopped(stack: Stack, server: str) -> Iterator[None]:
    """One server ended, and started again on its data when the context ends."""
    if server == "Nomad":
        allow_own_node(stack, True)
    stacks.stop_server(stack.state, server.lower())
    try:
        yield
    finally:
        stacks.start_server(stack.state, server.lower())
        if server == "Nomad":
            allow_own_node(stack, False)


def stay_for(served: Served, seconds: float) -> None:
    """Watch the PBXes' own processes for so long: each goes on, and there is no other."""
    before = served.find_pids()
    assert sorted(before.values()) == [MONTEVIDEO, SALTO]
    assert not poll(lambda: served.find_pids() != before, seconds), (before, served.find_pids())
    served.assert_alive()


@pytest.mark.parametrize("server", [pytest.param(one, marks=pytest.mark.row(ROW_OF[one])) for one in ROW_OF])
def test_a_server_that_is_restarted(served: Served, stack: Stack, witness: Witness, server: str) -> None:
    served.begin_call(witness)
    with stopped(stack, server):
        commit = served.merge_and_tell()
    stay_for(served, 1.0)
    served.wait_applied(commit)


@pytest.mark.parametrize("server", list(ROW_OF))
@pytest.mark.parametrize(
    "away_s", [SHORT_S, pytest.param(LONG_S, marks=pytest.mark.slow)], ids=["20 s", "15 min"]
)
@pytest.mark.row(AWAY)
def test_a_server_that_is_away(
    served: Served, stack: Stack, witness: Witness, server: str, away_s: float
) -> None:
    served.begin_call(witness)
    begun = served.count_lines()
    with stopped(stack, server):
        commit = served.merge_and_tell()
        served.wait_told(f"{server} at ", begun)
        stay_for(served, away_s)
        assert f"{server} did not answer" in served.controller.ask("readyz").text or server == "Vault"
    served.wait_applied(commit)
    stay_for(served, 1.0)


@pytest.mark.row(VAULT)
def test_vault_is_sealed(served: Served, stack: Stack, witness: Witness) -> None:
    """The stack's unseals itself when it starts, as one with a key of a cloud does."""
    served.begin_call(witness)
    begun = served.count_lines()
    served.servers.ask("VAULT", "PUT", "sys/seal")
    commit = served.merge_and_tell()
    served.wait_told("Vault at ", begun)
    assert not served.has_newest()
    stay_for(served, 5.0)
    with stopped(stack, "Vault"):
        pass
    served.wait_applied(commit)


@pytest.mark.slow
@pytest.mark.parametrize(
    "server", [pytest.param(one, marks=pytest.mark.row(ROW_OF[one])) for one in ("Consul", "Nomad")]
)
def test_a_server_without_a_leader(
    served: Served, stack: Stack, witness: Witness, tmp_path: Path, server: str
) -> None:
    """Two servers, one of which is paused: the other answers, and says that nobody leads (as in test_answers)."""
    served.begin_call(witness)
    hold = {"Consul": hold_consul_peer, "Nomad": hold_nomad_peer}[server]
    with hold(stack, tmp_path) as peer:
        begun = served.count_lines()
        with peer.paused():
            assert poll(lambda: not has_leader(stack, server), DEADLINE_S)
            commit = served.merge_and_tell()
            served.wait_told(f"{server} at ", begun)
            stay_for(served, LEADERLESS_S)
        served.wait_applied(commit)
    served.wait_applied(served.merge_and_tell())
