"""Each server with each fault of an answer, on the running service: nothing goes, it is told, and it mends itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from tests.faults.failing import ADDRESSES, FAULTS, Fault, hang, is_any, is_write
from tests.faults.outages import DEADLINE_S, Served, hold_served
from tests.faults.rows import SERVERS
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet

CONSUL, NOMAD, VAULT = SERVERS[:3]
ROW_OF = {"Consul": CONSUL, "Nomad": NOMAD, "Vault": VAULT}
LATE_S = 0.3


def list_rows(faults: dict[str, Fault], more: str = "") -> list[pytest.ParameterSet]:
    return [
        pytest.param(server, fault, marks=pytest.mark.row(ROW_OF[server]), id=f"{server}: {name}{more}")
        for server in ADDRESSES
        for name, fault in faults.items()
    ]


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp("answers"), "answers", 4330) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


@pytest.mark.parametrize(("server", "fault"), list_rows(dict(FAULTS)))
def test_a_server_that_answers_nothing_of_use(
    served: Served, witness: Witness, server: str, fault: Fault
) -> None:
    """Vault is asked for the new telephone's secret; the others for everything."""
    served.begin_call(witness)
    begun, relay = served.count_lines(), served.relays[server]
    with relay.fail(fault):
        commit = served.merge_and_tell()
        served.wait_told(server, begun)
        assert relay.met
        assert not any(
            one.get("whole") for one in served.controller.events("cycle") if one["commit"] == commit
        )
        served.assert_alive()
    served.wait_applied(commit)


WRITES = {name: FAULTS[name] for name in ("reset", "a proxy's page with 200")}


@pytest.mark.parametrize(("server", "fault"), list_rows(WRITES, " after the write"))
def test_a_write_that_is_done_and_whose_answer_is_lost(
    served: Served, witness: Witness, server: str, fault: Fault
) -> None:
    served.begin_call(witness)
    begun, relay = served.count_lines(), served.relays[server]
    if server == "Nomad":
        # no job is changed by a telephone
        job = served.servers.get("NOMAD", f"job/{served.fleet.names('acme/salto').job_id}")
        with relay.fail(fault, is_write):
            witness.register({**job, "Priority": job["Priority"] + 1})
            served.wait_told(server, begun)
        commit = served.merge_and_tell()
    else:
        with relay.fail(fault, is_write):
            commit = served.merge_and_tell()
            served.wait_told(server, begun)
    assert relay.met
    served.assert_alive()
    served.wait_applied(commit)


@pytest.mark.parametrize(
    "server", [pytest.param(one, marks=pytest.mark.row(ROW_OF[one])) for one in ADDRESSES]
)
def test_a_server_that_is_slow_is_waited_for(served: Served, witness: Witness, server: str) -> None:
    served.begin_call(witness)
    with served.relays[server].slow(LATE_S):
        served.wait_applied(served.merge_and_tell())
    served.assert_alive()


@pytest.mark.slow
@pytest.mark.parametrize(
    "server", [pytest.param(one, marks=pytest.mark.row(ROW_OF[one])) for one in ADDRESSES]
)
def test_a_server_that_never_answers(served: Served, witness: Witness, server: str) -> None:
    """A request is given up after 30 s; a leader whose session is not renewed in time writes no more."""
    served.begin_call(witness)
    begun, relay = served.count_lines(), served.relays[server]
    with relay.fail(hang, is_any):
        commit = served.merge_and_tell()
        served.wait_told(server, begun)
        wait_until(lambda: bool(relay.met), DEADLINE_S, f"waiting for {server} to be asked", served.folder)
    served.wait_applied(commit)
    served.assert_alive()
