"""How many calls an office's link carries at once, on real Asterisks: what is one too many goes another way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import CloudCut, hold_failure
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.placed_call import Outcome, place_call
from ritilib.routing.ladder import find_route
from tests.integration.companies import MONTEVIDEO, RIVERA, SALTO, STRANGER, render_company

LABEL = "riti-test-limits"
WITHIN_S = 30.0
# Montevideo's link carries two calls (derived from its kbit/s), Salto's and Rivera's one; Rivera has no line
MADE = render_company(
    "100.81.15.0/24",
    {MONTEVIDEO: ("101", "102", "103"), SALTO: ("201", "202"), RIVERA: ("301", "302")},
    lent={MONTEVIDEO: "[rivera]"},
    settings={
        MONTEVIDEO: "link: {kbit_s: 250}\n",
        SALTO: "calls: {at_once: 1}\n",
        RIVERA: "calls: {at_once: 1}\n",
    },
    more="""\
groups:
  - {number: "600", name: Together, rings: ["101", "102", "103"]}
  - {number: "601", name: Others, rings: ["102", "103"]}
  - {number: "602", name: Busy, rings: ["101"], then: "103"}
""",
)
NO_WAY = Outcome("refused", status="503 Service Unavailable")


def way(caller: str, callee: str) -> tuple[str, ...]:
    """By the cloud."""
    return f"box:{caller}", f"pbx:{caller}", f"pbx:{callee}", f"box:{callee}"


def by_lines(caller: str, callee: str) -> tuple[str, ...]:
    return f"box:{caller}", f"line:{caller}", "public", f"line:{callee}", f"box:{callee}"


def answered(by: str, *path: str) -> Outcome:
    return Outcome("answered", by, "", path)


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    folder = tmp_path_factory.mktemp("limits")
    with hold_fleet(Docker(stack.docker_host), MADE.tree, MADE.outside, folder, LABEL, print) as running:
        yield running


def count_legs(fleet: RunningFleet, box: str) -> int:
    """How many calls the box counts on its link."""
    return len(
        re.findall(r"^\S+ +own +link\b", fleet.nodes[f"box:{box}"].ask("group show channels"), re.MULTILINE)
    )


@contextmanager
def hold_call(fleet: RunningFleet, box: str, extension: str, dialled: str) -> Iterator[Call]:
    """A call that is up; at the end it is over, and no link carries anything."""
    phone = fleet.phones[box, extension].phone
    made = phone.dial(dialled)
    phone.wait_for("established", WITHIN_S, made)
    try:
        yield made
    finally:
        phone.hang_up(made)
        wait_quiet(fleet)


def wait_quiet(fleet: RunningFleet) -> None:
    """Return when no box has a call."""

    def is_quiet() -> bool:
        asked = [node.ask("core show channels") for node in fleet.list_nodes("box")]
        return all("\n0 active channels" in "\n" + said for said in asked)

    wait_until(is_quiet, WITHIN_S, "no box has a call")


def test_the_files_say_how_many(fleet: RunningFleet) -> None:
    offices = MADE.directory.offices
    assert {slug: office.settings.at_once for slug, office in offices.items()} == {
        "montevideo": 2,
        "salto": 1,
        "rivera": 1,
    }


def test_a_link_for_one_call_carries_it_in_each_direction(fleet: RunningFleet) -> None:
    assert place_call(fleet, SALTO, "201", "101") == answered(f"{MONTEVIDEO}:101", *way(SALTO, MONTEVIDEO))
    assert place_call(fleet, MONTEVIDEO, "101", "202") == answered(f"{SALTO}:202", *way(MONTEVIDEO, SALTO))
    assert count_legs(fleet, SALTO) == 0


def test_inside_an_office_a_call_counts_twice_and_then_needs_no_link(fleet: RunningFleet) -> None:
    """By the cloud it goes out and comes in again; where that is too much, the box rings the telephone itself."""
    with hold_call(fleet, MONTEVIDEO, "101", "102"):
        assert count_legs(fleet, MONTEVIDEO) == 2
        direct = answered(f"{MONTEVIDEO}:101", f"box:{MONTEVIDEO}")
        assert place_call(fleet, MONTEVIDEO, "103", "101") == direct
    outcome = place_call(fleet, SALTO, "201", "202")
    assert outcome == answered(f"{SALTO}:202", f"box:{SALTO}")
    assert find_route(MADE.directory, "salto", "202", frozenset()).path == outcome.path


def test_a_call_out_that_is_one_too_many_takes_the_own_line(fleet: RunningFleet) -> None:
    with hold_call(fleet, SALTO, "201", "101"):
        assert (count_legs(fleet, SALTO), count_legs(fleet, MONTEVIDEO)) == (1, 1)
        # at Montevideo it counts twice more, out and in, which is too much there
        path = by_lines(SALTO, MONTEVIDEO)
        assert place_call(fleet, SALTO, "202", "102") == answered(f"{MONTEVIDEO}:101", *path)
        emergency = place_call(fleet, SALTO, "202", "911", 20.0)
        assert emergency.kind == "emergency"
        direct = answered(f"{SALTO}:201", f"box:{SALTO}")
        assert place_call(fleet, SALTO, "202", "201") == direct
        assert (count_legs(fleet, SALTO), count_legs(fleet, MONTEVIDEO)) == (1, 1)


def test_a_call_in_that_is_one_too_many_goes_by_the_callers_line(fleet: RunningFleet) -> None:
    with hold_call(fleet, SALTO, "201", "103"):
        path = by_lines(MONTEVIDEO, SALTO)
        # the line's owner rings, and by the box itself: the cloud's way there is full as well
        assert place_call(fleet, MONTEVIDEO, "101", "202") == answered(f"{SALTO}:201", *path)
        # Rivera has no line, so it is a tone, and at once
        assert place_call(fleet, RIVERA, "301", "202") == NO_WAY
        assert (count_legs(fleet, SALTO), count_legs(fleet, RIVERA)) == (1, 0)
    assert place_call(fleet, RIVERA, "301", "202") == answered(f"{SALTO}:202", *way(RIVERA, SALTO))


def test_without_a_line_it_is_a_tone(fleet: RunningFleet) -> None:
    with hold_call(fleet, RIVERA, "301", "201"):
        assert place_call(fleet, RIVERA, "302", "102") == NO_WAY
        assert place_call(fleet, RIVERA, "302", STRANGER) == NO_WAY


def test_calls_from_box_to_box_count_as_well(fleet: RunningFleet) -> None:
    with hold_failure(fleet, CloudCut()), hold_call(fleet, SALTO, "201", "101"):
        assert (count_legs(fleet, SALTO), count_legs(fleet, MONTEVIDEO)) == (1, 1)
        path = by_lines(MONTEVIDEO, SALTO)
        assert place_call(fleet, MONTEVIDEO, "103", "202") == answered(f"{SALTO}:201", *path)
        assert place_call(fleet, RIVERA, "301", "202") == NO_WAY
        assert (count_legs(fleet, SALTO), count_legs(fleet, MONTEVIDEO)) == (1, 1)


@pytest.fixture
def ringing(fleet: RunningFleet) -> Iterator[list[Callee]]:
    """Montevideo's telephones, which a test answers itself."""
    callees = [fleet.phones[MONTEVIDEO, number] for number in ("101", "102", "103")]
    for callee in callees:
        callee.manner = "let ring"
    yield callees
    for callee in callees:
        callee.manner = "answer"


@pytest.mark.parametrize("cut", [False, True], ids=["by the cloud", "from box to box"])
@pytest.mark.parametrize("taker", [0, 1, 2])
def test_telephones_that_ring_for_one_call_count_once(
    fleet: RunningFleet, ringing: list[Callee], taker: int, cut: bool
) -> None:
    """Three telephones on a link for two calls, and whoever takes it, it is one call."""
    rings = [callee.phone.rings for callee in ringing]
    caller = fleet.phones[SALTO, "201"].phone
    with hold_failure(fleet, CloudCut()) if cut else nullcontext():
        made = caller.dial("600")
        try:
            wait_until(
                lambda: [callee.phone.rings for callee in ringing] == [one + 1 for one in rings],
                WITHIN_S,
                "all three ring",
            )
            assert (count_legs(fleet, MONTEVIDEO), count_legs(fleet, SALTO)) == (0, 1)
            incoming = [
                callee.phone.wait_for("ringing", WITHIN_S, callee.phone.calls[-1]) for callee in ringing
            ]
            ringing[taker].phone.answer(incoming[taker])
            caller.wait_for("established", WITHIN_S, made)
            for place, callee in enumerate(ringing):
                if place != taker:
                    callee.phone.wait_for("closed", WITHIN_S, incoming[place])
            assert (count_legs(fleet, MONTEVIDEO), count_legs(fleet, SALTO)) == (1, 1)
        finally:
            caller.hang_up(made)
            wait_quiet(fleet)


def test_who_is_called_after_a_group_counts_while_it_rings(
    fleet: RunningFleet, ringing: list[Callee]
) -> None:
    ringing[0].manner = "busy"
    caller, last = fleet.phones[SALTO, "201"].phone, ringing[2].phone
    rings = last.rings
    made = caller.dial("602")
    try:
        wait_until(lambda: last.rings == rings + 1, WITHIN_S, "the one after the group rings")
        assert count_legs(fleet, MONTEVIDEO) == 1
    finally:
        caller.hang_up(made)
        wait_quiet(fleet)


def test_a_full_link_rings_no_telephone_of_a_group_from_outside(
    fleet: RunningFleet, ringing: list[Callee]
) -> None:
    ringing[0].manner = ringing[1].manner = "answer"
    with hold_call(fleet, MONTEVIDEO, "101", "102"):
        rings = [callee.phone.rings for callee in ringing]
        assert count_legs(fleet, MONTEVIDEO) == 2
        # by the line, and there its owner
        outcome = place_call(fleet, SALTO, "201", "600")
        assert outcome == answered(f"{MONTEVIDEO}:101", *by_lines(SALTO, MONTEVIDEO))
        assert [callee.phone.rings for callee in ringing] == [rings[0] + 1, *rings[1:]]
        # inside the office no link is needed
        outcome = place_call(fleet, MONTEVIDEO, "103", "601")
        assert outcome == answered(f"{MONTEVIDEO}:102", f"box:{MONTEVIDEO}")


def test_a_lent_line_is_reached_over_the_links(fleet: RunningFleet) -> None:
    lent = (*way(RIVERA, MONTEVIDEO), f"line:{MONTEVIDEO}", "public")
    assert place_call(fleet, RIVERA, "301", STRANGER) == Outcome(
        "stranger", "", "on the line: stranger", lent
    )
    with hold_call(fleet, RIVERA, "301", STRANGER):
        assert (count_legs(fleet, RIVERA), count_legs(fleet, MONTEVIDEO)) == (1, 1)
    # the lender's link is full, its line is not
    with hold_call(fleet, MONTEVIDEO, "101", "102"):
        assert count_legs(fleet, MONTEVIDEO) == 2
        assert place_call(fleet, RIVERA, "301", STRANGER) == NO_WAY
