"""Every call of a company under every single failure, really made, and the ladder's word on each (routing.ladder)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony import failures
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import hold_failure
from ritilib.devstack.telephony.placed_call import Outcome, place_call
from ritilib.routing.ladder import Failure, Route, find_route
from ritilib.routing.proof import list_failures
from tests.integration.companies import MONTEVIDEO, SALTO, STRANGER, Rendered, render_company
from tests.recordings import make_words

LABEL = "riti-test-ladder"
PATIENCE_S = 20.0
GIVEN_UP_S = 2.0  # a call that nobody takes is over no sooner
MENU = 'menus: [{number: "700", name: Ask, words: ask, choices: {"1": "201"}, seconds: 30, else: "101"}]\n'
# Rivera has no line of its own, Salto may use nobody's
LENT = {MONTEVIDEO: "[rivera]", SALTO: "[montevideo, rivera]"}
MADE = render_company("100.81.13.0/24", more=MENU, words={"ask": make_words(1000, 1.0)}, lent=LENT)
# what stands in no call's way has no counterpart here
FAILURES = [one for one in list_failures(MADE.directory) if one.kind not in ("vault", "consul", "nomad")]


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    folder = tmp_path_factory.mktemp("ladder")
    with hold_fleet(Docker(stack.docker_host), MADE.tree, MADE.outside, folder, LABEL, print) as running:
        yield running


def make_failure(made: Rendered, failure: Failure) -> failures.Failure:
    """The laboratory's failure for the ladder's."""
    box, peer = (f"{made.directory.company}/{slug}" for slug in (failure.box, failure.peer))
    kinds: dict[str, failures.Failure] = {
        "link": failures.LinkCut(box),
        "box": failures.BoxDead(box),
        "pbx": failures.PbxDead((box,)),
        "mesh": failures.MeshCut(box, peer),
        "line": failures.LineDead(box),
        "cloud": failures.CloudCut(),
        "none": failures.PbxDead(()),
    }
    return kinds[failure.kind]


def describe(made: Rendered, route: Route) -> tuple[str, str, tuple[str, ...]]:
    """What the laboratory is to see: what became of the call, who answered, by which way."""
    end = route.outcome
    kinds = {"rings": "answered", "emergency": "emergency", "menu": "menu", "public": "stranger"}
    kind = kinds.get(end.kind, "lost")
    by = f"{made.directory.company}/{end.box}:{end.extension}" if kind == "answered" else ""
    return kind, by, route.path


def reduce(outcome: Outcome) -> tuple[str, str, tuple[str, ...]]:
    """A call that does not get through is lost in whatever way: the ladder knows only that."""
    if outcome.kind in ("busy", "no answer", "refused", "played"):
        return "lost", "", ()
    return outcome.kind, outcome.by, outcome.path


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_every_call_goes_as_the_ladder_says(fleet: RunningFleet, failure: Failure) -> None:
    directory = MADE.directory
    dialled = [
        *(one for office in directory.offices.values() for one in office.extensions),
        "911",
        STRANGER,
        "700",
    ]
    expected, seen = {}, {}
    with hold_failure(fleet, make_failure(MADE, failure)):
        for caller, office in directory.offices.items():
            if failure == Failure("box", caller):
                continue  # nobody can call there
            for number in dialled:
                if number == office.extensions[0]:
                    continue  # nobody calls itself
                route = find_route(directory, caller, number, frozenset({failure}))
                expected[caller, number] = describe(MADE, route)
                lost = route.outcome.kind == "tone" and number != "911"
                patience_s = GIVEN_UP_S if lost else PATIENCE_S
                box = f"{directory.company}/{caller}"
                seen[caller, number] = reduce(
                    place_call(fleet, box, office.extensions[0], number, patience_s)
                )
    assert seen == expected
    print(f"{failure}: {len(seen)} calls really made, each as the ladder says")
