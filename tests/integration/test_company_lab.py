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
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
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
from tests.integration.companies import MONTEVIDEO, RIVERA, SALTO, STRANGER, lend, render_company

LABEL = "riti-test-company"
HOME, AWAY = f"box:{MONTEVIDEO}", f"box:{SALTO}"
BY_CLOUD = (HOME, f"pbx:{MONTEVIDEO}", f"pbx:{SALTO}", AWAY)
ON_LINE = (HOME, f"line:{MONTEVIDEO}", "public")
BY_LINES = (*ON_LINE, f"line:{SALTO}", AWAY)
ANSWERED = Outcome("answered", f"{SALTO}:201", "", BY_CLOUD)
DIRECT = replace(ANSWERED, path=(HOME, AWAY))
BY_LINE = replace(ANSWERED, path=BY_LINES)
# what comes in by a line is the cloud's to decide, where that is in reach
BY_LINE_AND_CLOUD = replace(ANSWERED, path=(*BY_LINES, f"pbx:{SALTO}", AWAY))
EMERGENCY = Outcome("emergency", "", "on the line: emergency", ON_LINE)
NO_HELP = Outcome("played", "", "no-help: Wait(15)", (HOME,))
NO_WAY = Outcome("refused", status="503 Service Unavailable")


@pytest.fixture(scope="module")
def docker(stack: Stack) -> Docker:
    return Docker(stack.docker_host)


@pytest.fixture(scope="module")
def fleet(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    made = render_company("100.81.11.0/24")
    with hold_fleet(docker, made.tree, made.outside, tmp_path_factory.mktemp("lab"), LABEL, print) as running:
        yield running


@pytest.fixture
def salto(fleet: RunningFleet) -> Iterator[Callee]:
    """Salto's telephone, whose manner a test may change."""
    yield from lend(fleet, SALTO, "201")


def call(fleet: RunningFleet, dialled: str, patience_s: float = 10.0) -> Outcome:
    """Montevideo's first telephone dials."""
    return place_call(fleet, MONTEVIDEO, "101", dialled, patience_s)


def test_a_call_between_offices(fleet: RunningFleet) -> None:
    assert call(fleet, "201") == ANSWERED
    assert call(fleet, "26000201") == ANSWERED


def test_a_call_inside_an_office(fleet: RunningFleet) -> None:
    path = (HOME, f"pbx:{MONTEVIDEO}", HOME)
    assert call(fleet, "102") == Outcome("answered", f"{MONTEVIDEO}:102", "", path)


def test_what_is_no_number_is_refused(fleet: RunningFleet) -> None:
    assert call(fleet, "12") == Outcome("refused", status="403 Forbidden")


def test_busy_is_busy(fleet: RunningFleet, salto: Callee) -> None:
    salto.manner = "busy"
    assert call(fleet, "201") == Outcome("busy", status="486 Busy Here")


def test_who_lets_it_ring_does_not_answer(fleet: RunningFleet, salto: Callee) -> None:
    salto.manner = "let ring"
    assert call(fleet, "201", 1.0) == Outcome("no answer", salto.name, "ringing")


def test_calls_side_by_side_are_told_apart(fleet: RunningFleet) -> None:
    pairs = [(MONTEVIDEO, "101", "201"), (RIVERA, "301", "102")] * 5
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda pair: place_call(fleet, *pair), pairs))
    assert {outcome.kind for outcome in outcomes} == {"answered"}
    assert [outcome.by for outcome in outcomes] == [f"{SALTO}:201", f"{MONTEVIDEO}:102"] * 5


def test_the_public_network(fleet: RunningFleet) -> None:
    assert call(fleet, "911") == EMERGENCY
    assert call(fleet, STRANGER) == Outcome("stranger", "", "on the line: stranger", ON_LINE)
    assert call(fleet, "24999999") == Outcome("refused", "", "on the line: nobody", ON_LINE)


def test_on_a_line_nothing_is_signalled(fleet: RunningFleet, salto: Callee) -> None:
    """It has one call at a time; a caller hears busy, or ringing without end where nobody takes the call."""
    phone = salto.phone
    with hold_failure(fleet, LinkCut(SALTO)):
        held = phone.dial("911")
        phone.wait_for("established", 10, held)
        assert call(fleet, "201") == Outcome("busy", "", "on the line: busy", ON_LINE)
        phone.hang_up(held)
        assert call(fleet, "201") == BY_LINE
        salto.manner = "let ring"
        assert call(fleet, "201", 1.0) == Outcome("no answer", salto.name, "on the line: ring", ON_LINE)
        salto.manner = "busy"
        assert call(fleet, "201") == Outcome("no answer", "", "on the line: unanswered", ON_LINE)


FAILURES: list[tuple[Failure, Outcome, Outcome]] = [
    # the failure, and what becomes of a call to 201 and of one to 911
    (MeshCut(MONTEVIDEO, SALTO), DIRECT, EMERGENCY),
    (LinkCut(MONTEVIDEO), BY_LINE_AND_CLOUD, EMERGENCY),
    (LinkCut(SALTO), BY_LINE, EMERGENCY),
    (PbxDead((SALTO,)), DIRECT, EMERGENCY),
    (PbxDead((MONTEVIDEO, SALTO)), DIRECT, EMERGENCY),
    (CloudCut(), DIRECT, EMERGENCY),
    (BoxDead(SALTO), Outcome("no answer", "", "on the line: ring", ON_LINE), EMERGENCY),
    (LineDead(MONTEVIDEO), ANSWERED, NO_HELP),
]


@pytest.mark.parametrize(("failure", "office", "emergency"), FAILURES)
def test_a_failure_and_its_end(
    fleet: RunningFleet, failure: Failure, office: Outcome, emergency: Outcome
) -> None:
    with hold_failure(fleet, failure):
        assert call(fleet, "201") == office
        assert call(fleet, "911", 20.0) == emergency
    assert (call(fleet, "201"), call(fleet, "911")) == (ANSWERED, EMERGENCY)


def test_failures_that_overlap_heal_one_by_one(fleet: RunningFleet) -> None:
    with hold_failure(fleet, LinkCut(SALTO)):
        with hold_failure(fleet, LineDead(MONTEVIDEO)), hold_failure(fleet, CloudCut()):
            assert call(fleet, "201") == NO_WAY
            with hold_failure(fleet, PbxDead((SALTO,))):
                assert call(fleet, "201") == NO_WAY
        assert call(fleet, "201") == BY_LINE
    assert call(fleet, "201") == ANSWERED


def test_without_waiting_the_first_call_meets_a_peer_that_looks_alive(fleet: RunningFleet) -> None:
    """What bench/failover measures: the call goes through all the same, and later."""
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO), settle=False):
        assert fleet.find_unsettled()
        assert call(fleet, "201") == DIRECT
    # what that call found out is forgotten once the failure is healed
    assert call(fleet, "201") == ANSWERED


def test_nothing_is_left_behind(docker: Docker, tmp_path: Path) -> None:
    label, made = f"{LABEL}-end", render_company("100.81.12.0/24", {SALTO: ("201",)}, ())
    processes: list[Process] = []

    def fail_inside() -> None:
        with hold_fleet(docker, made.tree, made.outside, tmp_path, label, print) as running:
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
    label, made = f"{LABEL}-bad", render_company("100.81.12.0/24", {SALTO: ("201",)}, ())
    made.tree[f"rendered/{SALTO}/box/etc/modules.conf"] = "[modules]\nautoload=no\nrequire = absent.so\n"
    with (
        pytest.raises(DevstackError, match=f"box:{SALTO} ended by itself"),
        hold_fleet(docker, made.tree, made.outside, tmp_path, label, print),
    ):
        pass
    assert_removed(docker, label)


def assert_removed(docker: Docker, label: str) -> None:
    assert docker.list_containers(f"riti.dev={label}") == ()
    assert docker.list_networks(f"riti.dev={label}") == ()
    assert not find_secrets_folder(label, "").exists()
