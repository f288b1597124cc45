"""Lines that offices lend to each other: who may call out by them, and what has precedence, on real Asterisks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import (
    CloudCut,
    Failure,
    LineDead,
    LinkCut,
    MeshCut,
    PathCut,
    PbxDead,
    hold_failure,
)
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.placed_call import Outcome, place_call
from ritilib.devstack.telephony.public import NAME as PUBLIC
from tests.integration.companies import MONTEVIDEO, RIVERA, SALTO, STRANGER, Rendered, render_company

LABEL = "riti-test-lending"
WITHIN_S = 30.0
BOX, PBX = f"box:{RIVERA}", f"pbx:{RIVERA}"
ON_LINE = (f"box:{MONTEVIDEO}", f"line:{MONTEVIDEO}", "public")
BY_CLOUD = (BOX, PBX, f"pbx:{MONTEVIDEO}", *ON_LINE)
DIRECT = (BOX, *ON_LINE)
NO_WAY = Outcome("refused", status="503 Service Unavailable")
REFUSED = Outcome("refused", status="403 Forbidden")

# What a box that does not keep to its dial plan might try; what it was told stands in the global TRIED afterwards.
_TRY = """\
exten => _{mark}.,1,Dial({channel},10)
 same => n,Set(GLOBAL(TRIED)=${{EXTEN}}: ${{DIALSTATUS}} ${{HANGUPCAUSE}})
 same => n,Hangup(17)
"""


def render() -> Rendered:
    """Montevideo lends its line to Rivera, Salto its own to Montevideo; Rivera's box and PBX try more than they may."""
    made = render_company("100.81.14.0/24", lent={MONTEVIDEO: "[rivera]", SALTO: "[montevideo]"})
    more = {
        ("box/etc", "from-phone"): {
            "*1": "IAX2/box-salto/${EXTEN:2}@lend",
            "*2": "IAX2/cloud/${EXTEN:2}@borrow-salto",
            "*4": "IAX2/box-montevideo/${EXTEN:2}@lend",
        },
        ("pbx/live", "from-box"): {
            "*3": "IAX2/pbx-salto/${EXTEN:2}@lend",
            "*5": "IAX2/pbx-montevideo/${EXTEN:2}@lend",
        },
    }
    for (folder, context), tries in more.items():
        path = f"rendered/{RIVERA}/{folder}/extensions.conf"
        added = "".join(_TRY.format(mark=mark, channel=channel) for mark, channel in tries.items())
        made.tree[path] = made.tree[path].replace(f"[{context}]\n", f"[{context}]\n{added}", 1)
    return made


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    made, folder = render(), tmp_path_factory.mktemp("lending")
    with hold_fleet(Docker(stack.docker_host), made.tree, made.outside, folder, LABEL, print) as running:
        yield running


def call(fleet: RunningFleet, box: str = RIVERA, extension: str = "301", dialled: str = STRANGER) -> Outcome:
    return place_call(fleet, box, extension, dialled)


def reached(*path: str) -> Outcome:
    return Outcome("stranger", "", "on the line: stranger", path)


def count_taken(fleet: RunningFleet) -> int:
    """How many calls the public network has had so far."""
    found = re.search(r"^(\d+) calls? processed", fleet.nodes[PUBLIC].ask("core show channels"), re.MULTILINE)
    assert found is not None
    return int(found[1])


def wait_free(fleet: RunningFleet, box: str) -> None:
    """Return when the box holds its line, and its link, for nobody."""
    node = fleet.nodes[f"box:{box}"]
    wait_until(
        lambda: "\n0 active channels" in "\n" + node.ask("group show channels", "core show channels"),
        WITHIN_S,
        f"{box} is free",
    )


@contextmanager
def hold_call(fleet: RunningFleet, box: str, extension: str, dialled: str) -> Iterator[Call]:
    """A call that is up, and over at the end."""
    phone = fleet.phones[box, extension].phone
    made = phone.dial(dialled)
    phone.wait_for("established", WITHIN_S, made)
    try:
        yield made
    finally:
        if made.is_live:
            phone.hang_up(made)
        for office in (MONTEVIDEO, SALTO, RIVERA):
            wait_free(fleet, office)


def test_an_office_without_a_line_calls_out_by_one_that_is_lent_to_it(fleet: RunningFleet) -> None:
    assert call(fleet) == reached(*BY_CLOUD)
    assert call(fleet, dialled="00598" + STRANGER) == reached(*BY_CLOUD)
    # its own policy holds, and an emergency call would send help to Montevideo
    assert call(fleet, dialled="00441234567890") == REFUSED
    assert call(fleet, dialled="911") == Outcome("played", "", "no-help: Wait(15)", (BOX,))


@pytest.mark.parametrize(
    ("failure", "path"),
    [
        (CloudCut(), DIRECT),
        (MeshCut(MONTEVIDEO, RIVERA), DIRECT),
        (PbxDead((MONTEVIDEO,)), DIRECT),
        (PbxDead((RIVERA,)), DIRECT),
    ],
)
def test_without_a_pbx_it_goes_from_box_to_box(
    fleet: RunningFleet, failure: Failure, path: tuple[str, ...]
) -> None:
    with hold_failure(fleet, failure):
        assert call(fleet) == reached(*path)
    assert call(fleet) == reached(*BY_CLOUD)


@pytest.mark.parametrize("failure", [LinkCut(RIVERA), LinkCut(MONTEVIDEO), LineDead(MONTEVIDEO)])
def test_what_the_lender_cannot_give_is_a_tone_at_once(fleet: RunningFleet, failure: Failure) -> None:
    with hold_failure(fleet, failure):
        assert call(fleet) == NO_WAY
    assert call(fleet) == reached(*BY_CLOUD)


def test_the_own_line_is_first_and_a_lent_one_next(fleet: RunningFleet) -> None:
    assert call(fleet, MONTEVIDEO, "101") == reached(*ON_LINE)
    lent = (
        f"box:{MONTEVIDEO}",
        f"pbx:{MONTEVIDEO}",
        f"pbx:{SALTO}",
        f"box:{SALTO}",
        f"line:{SALTO}",
        "public",
    )
    with hold_failure(fleet, LineDead(MONTEVIDEO)):
        assert call(fleet, MONTEVIDEO, "101") == reached(*lent)
    with hold_call(fleet, MONTEVIDEO, "102", STRANGER):
        assert call(fleet, MONTEVIDEO, "101") == reached(*lent)
        # Rivera has no other lender
        assert call(fleet) == NO_WAY
    # a line that failed is not held by the call that has gone on
    with hold_failure(fleet, LineDead(MONTEVIDEO)):
        phone = fleet.phones[MONTEVIDEO, "102"].phone
        held = phone.dial(STRANGER)
        phone.wait_for("established", WITHIN_S, held)
    assert call(fleet, MONTEVIDEO, "101") == reached(*ON_LINE)
    phone.hang_up(held)
    wait_free(fleet, SALTO)


@pytest.mark.parametrize(
    ("mark", "node"),
    [("*1", BOX), ("*2", BOX), ("*3", PBX)],
    ids=["to the box", "by its own PBX", "to the PBX"],
)
def test_a_line_that_is_lent_to_others_is_refused_even_to_who_tries(
    fleet: RunningFleet, mark: str, node: str
) -> None:
    """By IAX2 itself (cause 50, no such service for this peer), before any dial plan."""
    taken = count_taken(fleet)
    assert call(fleet, dialled=mark + STRANGER).kind == "busy"
    assert f"TRIED={mark}{STRANGER}: CHANUNAVAIL 50\n" in fleet.nodes[node].ask("dialplan show globals")
    assert count_taken(fleet) == taken


@pytest.mark.parametrize(("mark", "node"), [("*4", BOX), ("*5", PBX)], ids=["box to box", "from PBX to PBX"])
@pytest.mark.parametrize(
    ("dialled", "cause"), [("911", 21), ("128", 21), ("00598911", 21), ("12", 28), ("1*1", 28), ("24#", 28)]
)
def test_the_lender_refuses_emergencies_and_what_is_no_number(
    fleet: RunningFleet, mark: str, node: str, dialled: str, cause: int
) -> None:
    taken = count_taken(fleet)
    assert call(fleet, dialled=mark + dialled).kind == "busy"
    assert f"TRIED={mark}{dialled}: CHANUNAVAIL {cause}\n" in fleet.nodes[node].ask("dialplan show globals")
    assert count_taken(fleet) == taken


def test_what_is_lent_may_be_dialled(fleet: RunningFleet) -> None:
    """The same tries with a number that may be: what refused the others is not something else."""
    for mark in ("*4", "*5"):
        assert call(fleet, dialled=mark + STRANGER).kind == "stranger"


def test_a_line_that_is_taken_is_said_by_its_cause(fleet: RunningFleet) -> None:
    with hold_call(fleet, MONTEVIDEO, "101", STRANGER):
        for mark, node in (("*4", BOX), ("*5", PBX)):
            assert call(fleet, dialled=mark + STRANGER).kind == "busy"
            said = fleet.nodes[node].ask("dialplan show globals")
            assert f"TRIED={mark}{STRANGER}: CHANUNAVAIL 47\n" in said
            # an answer is no silence: the next call takes the same way
            assert not re.search(r"AWAY_\S+=[1-9]", said)


def test_the_lenders_emergency_ends_a_lent_call(fleet: RunningFleet) -> None:
    with hold_call(fleet, RIVERA, "301", STRANGER) as lent:
        emergency = place_call(fleet, MONTEVIDEO, "101", "911", 20.0)
        assert emergency == Outcome("emergency", "", "on the line: emergency", ON_LINE)
        fleet.phones[RIVERA, "301"].phone.wait_for("closed", WITHIN_S, lent)


def test_no_lent_call_ends_anything(fleet: RunningFleet) -> None:
    with hold_call(fleet, MONTEVIDEO, "101", "911") as emergency:
        assert call(fleet) == NO_WAY
        assert emergency.is_live


@pytest.mark.parametrize(
    "failure",
    [PathCut(BOX, PBX), MeshCut(MONTEVIDEO, RIVERA), LinkCut(RIVERA), PbxDead((RIVERA,))],
    ids=lambda failure: type(failure).__name__,
)
def test_a_lent_call_ends_with_its_way_and_nobody_is_dialled_twice(
    fleet: RunningFleet, failure: Failure
) -> None:
    with hold_call(fleet, RIVERA, "301", STRANGER) as lent:
        taken = count_taken(fleet)
        with hold_failure(fleet, failure, settle=False):
            wait_free(fleet, MONTEVIDEO)
            fleet.phones[RIVERA, "301"].phone.wait_for("closed", WITHIN_S, lent)
            assert call(fleet, MONTEVIDEO, "101") == reached(*ON_LINE)
            assert count_taken(fleet) == taken + 1
    assert call(fleet) == reached(*BY_CLOUD)


def test_a_lent_call_does_not_go_on_by_the_own_line(fleet: RunningFleet) -> None:
    phone = fleet.phones[MONTEVIDEO, "101"].phone
    with hold_failure(fleet, LineDead(MONTEVIDEO)):
        lent = phone.dial(STRANGER)
        phone.wait_for("established", WITHIN_S, lent)
    taken = count_taken(fleet)
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO), settle=False):
        phone.wait_for("closed", WITHIN_S, lent)
        wait_free(fleet, SALTO)
        wait_free(fleet, MONTEVIDEO)
        assert count_taken(fleet) == taken
