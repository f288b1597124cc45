"""The laboratory of whole companies: calls take the expected way, failures stop them, healing brings them back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.network import run
from ritilib.devstack.processes import Process, is_running
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import Outside, RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import (
    BoxDead,
    CloudCut,
    Failure,
    LineDead,
    LinkCut,
    MeshCut,
    PbxDead,
    hold_failure,
)
from ritilib.devstack.telephony.office_files import find_secrets_folder
from ritilib.devstack.telephony.placed_call import Outcome, place_call
from ritilib.errors import DevstackError
from tests.integration.companies import MONTEVIDEO, OFFICES, OUTSIDE, RIVERA, SALTO, add_lines, render_company

LABEL = "riti-test-company"
BY_CLOUD = (
    f"box:{MONTEVIDEO}",
    f"pbx:{MONTEVIDEO}",
    f"pbx:{SALTO}",
    f"box:{SALTO}",
)
ON_LINE = (f"box:{MONTEVIDEO}", f"line:{MONTEVIDEO}", "public")
BY_LINES = (*ON_LINE, f"line:{SALTO}", f"box:{SALTO}")
ANSWERED = Outcome("answered", f"{SALTO}:201", "", BY_CLOUD)
BY_LINE = replace(ANSWERED, path=BY_LINES)
EMERGENCY = Outcome("emergency", "", "on the line: emergency", ON_LINE)
UNHEARD = Outcome("no answer", "", "on the line: unanswered", ON_LINE)
NO_ROUTE = Outcome("refused", status="404 Not Found")
NO_LINK = Outcome("refused", status="480 Temporarily Unavailable")
NO_LINE = Outcome("refused", status="503 Service Unavailable")
SALTOS_LINE = "047331200"  # the 0 that takes the own line, and its number


@pytest.fixture(scope="module")
def docker(stack: Stack) -> Docker:
    return Docker(stack.docker_host)


@pytest.fixture(scope="module")
def fleet(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    tree = add_lines(render_company("100.81.11.0/24"), OFFICES, OUTSIDE)
    with hold_fleet(docker, tree, OUTSIDE, tmp_path_factory.mktemp("lab"), LABEL, print) as running:
        yield running


@pytest.fixture
def salto(fleet: RunningFleet) -> Iterator[Callee]:
    """Salto's telephone, whose manner a test may change."""
    callee = fleet.phones[SALTO, "201"]
    yield callee
    callee.manner = "answer"


def call(fleet: RunningFleet, dialled: str, patience_s: float = 10.0) -> Outcome:
    """Montevideo's first telephone dials."""
    return place_call(fleet, MONTEVIDEO, "101", dialled, patience_s)


def test_a_call_between_offices(fleet: RunningFleet) -> None:
    assert call(fleet, "201") == ANSWERED
    assert call(fleet, "59826000201") == ANSWERED


def test_a_call_inside_an_office(fleet: RunningFleet) -> None:
    path = (f"box:{MONTEVIDEO}", f"pbx:{MONTEVIDEO}", f"box:{MONTEVIDEO}")
    assert call(fleet, "102") == Outcome("answered", f"{MONTEVIDEO}:102", "", path)


def test_an_unknown_number_is_refused(fleet: RunningFleet) -> None:
    assert call(fleet, "999") == NO_ROUTE


def test_busy_is_busy(fleet: RunningFleet, salto: Callee) -> None:
    salto.manner = "busy"
    assert call(fleet, "201") == Outcome("busy", status="486 Busy Here")


def test_who_lets_it_ring_does_not_answer(fleet: RunningFleet, salto: Callee) -> None:
    salto.manner = "let ring"
    assert call(fleet, "201", 1.0) == Outcome("no answer", salto.name, "ringing")
    assert call(fleet, SALTOS_LINE, 1.0) == Outcome("no answer", salto.name, "on the line: ring", ON_LINE)


def test_calls_side_by_side_are_told_apart(fleet: RunningFleet) -> None:
    pairs = [(MONTEVIDEO, "101", "201"), (RIVERA, "301", "102")] * 5
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda pair: place_call(fleet, *pair), pairs))
    assert {outcome.kind for outcome in outcomes} == {"answered"}
    assert [outcome.by for outcome in outcomes] == [f"{SALTO}:201", f"{MONTEVIDEO}:102"] * 5


def test_the_public_network(fleet: RunningFleet, salto: Callee) -> None:
    assert call(fleet, SALTOS_LINE) == BY_LINE
    assert call(fleet, "911") == EMERGENCY
    assert call(fleet, "012345") == Outcome("refused", "", "on the line: nobody", ON_LINE)
    salto.manner = "busy"  # an FXO cannot say so: the caller hears ringing
    assert call(fleet, SALTOS_LINE) == UNHEARD


def test_a_line_has_one_call_at_a_time(fleet: RunningFleet) -> None:
    phone = fleet.phones[SALTO, "201"].phone
    held = phone.dial("911")
    phone.wait_for("established", 10, held)
    assert call(fleet, SALTOS_LINE) == Outcome("busy", "", "on the line: busy", ON_LINE)
    phone.hang_up(held)
    assert call(fleet, SALTOS_LINE) == BY_LINE


FAILURES: list[tuple[Failure, Outcome, Outcome, Outcome]] = [
    # the failure, and what becomes of a call to 201, of one to Salto's line, and of one to 911
    (MeshCut(MONTEVIDEO, SALTO), NO_ROUTE, BY_LINE, EMERGENCY),
    (LinkCut(MONTEVIDEO), NO_LINK, BY_LINE, EMERGENCY),
    (LinkCut(SALTO), NO_ROUTE, BY_LINE, EMERGENCY),
    (PbxDead((SALTO,)), NO_ROUTE, BY_LINE, EMERGENCY),
    (PbxDead((MONTEVIDEO, SALTO)), NO_LINK, BY_LINE, EMERGENCY),
    (CloudCut(), NO_LINK, BY_LINE, EMERGENCY),
    (LineDead(MONTEVIDEO), ANSWERED, NO_LINE, NO_LINE),
    (LineDead(SALTO), ANSWERED, UNHEARD, EMERGENCY),
]


@pytest.mark.parametrize(("failure", "cloud", "line", "emergency"), FAILURES)
def test_a_failure_and_its_end(
    fleet: RunningFleet, failure: Failure, cloud: Outcome, line: Outcome, emergency: Outcome
) -> None:
    with hold_failure(fleet, failure):
        assert call(fleet, "201") == cloud
        assert call(fleet, SALTOS_LINE) == line
        assert call(fleet, "911") == emergency
    assert (call(fleet, "201"), call(fleet, SALTOS_LINE)) == (ANSWERED, BY_LINE)


def test_a_box_that_dies_comes_back_with_its_telephone_and_its_line(fleet: RunningFleet) -> None:
    with hold_failure(fleet, BoxDead(SALTO)):
        assert call(fleet, "201") == NO_ROUTE
        assert call(fleet, SALTOS_LINE, 1.0) == Outcome("no answer", "", "on the line: ring", ON_LINE)
    assert (call(fleet, "201"), call(fleet, SALTOS_LINE)) == (ANSWERED, BY_LINE)


def test_two_failures_that_overlap_heal_one_by_one(fleet: RunningFleet) -> None:
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO)):
        with hold_failure(fleet, PbxDead((SALTO,))), hold_failure(fleet, CloudCut()):
            assert call(fleet, "201") == NO_LINK
        assert call(fleet, "201") == NO_ROUTE
        assert call(fleet, "301").kind == "answered"
    assert call(fleet, "201") == ANSWERED


def test_without_waiting_the_first_call_meets_a_peer_that_looks_alive(fleet: RunningFleet) -> None:
    """What bench/failover measures; the present dial plan gives up when IAX2 does."""
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO), settle=False):
        assert fleet.find_unsettled()
        assert call(fleet, "201") == NO_ROUTE


def test_nothing_is_left_behind(docker: Docker, tmp_path: Path) -> None:
    label, tree = f"{LABEL}-end", render_company("100.81.12.0/24", {SALTO: ("201",)})
    processes: list[Process] = []

    def fail_inside() -> None:
        with hold_fleet(docker, tree, Outside(), tmp_path, label, print) as running:
            processes.extend(callee.phone.process for callee in running.phones.values())
            held = docker.list_containers(f"riti.dev={label}"), docker.list_networks(f"riti.dev={label}")
            assert [len(names) for names in held] == [2, 2]
            assert "100.81.12." in run("ip", "address")
            assert all(is_running(process) for process in processes)
            raise DevstackError.because("on purpose", "")

    with pytest.raises(DevstackError, match="on purpose"):
        fail_inside()
    assert not any(is_running(process) for process in processes)
    assert_removed(docker, label)
    assert "100.81.12." not in run("ip", "address") + run("iptables", "-w", "-S")
    logs = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert logs == ["box-acme-salto.log", "pbx-acme-salto.log"]


def test_a_fleet_that_does_not_come_up_is_told_and_removed(docker: Docker, tmp_path: Path) -> None:
    label, tree = f"{LABEL}-bad", render_company("100.81.12.0/24", {SALTO: ("201",)})
    tree[f"rendered/{SALTO}/box/etc/modules.conf"] = "[modules]\nautoload=no\nrequire = absent.so\n"
    with (
        pytest.raises(DevstackError, match=f"box:{SALTO} ended by itself"),
        hold_fleet(docker, tree, Outside(), tmp_path, label, print),
    ):
        pass
    assert_removed(docker, label)


def assert_removed(docker: Docker, label: str) -> None:
    assert docker.list_containers(f"riti.dev={label}") == ()
    assert docker.list_networks(f"riti.dev={label}") == ()
    assert not find_secrets_folder(label, "").exists()
