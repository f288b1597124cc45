"""The row of a controller that is killed in a sync of twenty boxes, right after a write; then another converges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path

import pytest

from ritilib.devstack.stack import Stack
from tests.faults.judging import Findings
from tests.faults.standins import StandinFleet
from tests.faults.witness import watch
from tests.integration.fleets import know_author, make_fleet
from tests.integration.holdings import Holdings
from tests.integration.relay import Ledger, hold_relays
from tests.integration.test_sync_killed import Lab, has_made, nothing_placed

BOXES = 20
SAMPLE = (0.31, 0.83)  # of the writes of a sync
PARTS = 8
FLEETS = count(1)  # what bootstrap made of the one before stays on the stack, under another mark


@pytest.fixture
def lab(stack: Stack, tmp_path: Path) -> Iterator[Lab]:
    """Twenty offices of two companies; then every one gets a telephone, and there is one more."""
    with know_author():
        fleet = StandinFleet(**vars(make_fleet(stack, tmp_path, f"twenty{next(FLEETS)}", 4242)))
    fleet.write("companies/zorro.yaml", "name: Zorro\n")
    offices = [("acme", "zorro")[number % 2] + f"/box{number:02}" for number in range(BOXES + 1)]
    for number, office in enumerate(offices[:BOXES]):
        fleet.write_box(*office.split("/"), f"{101 + number}")
    first = fleet.merge_change("twenty offices")
    for number, office in enumerate(offices):
        fleet.write_box(*office.split("/"), f"{101 + number}", f"{201 + number}")
    second = fleet.merge_change("a telephone for each, and one office more")
    ledger, holdings = Ledger(), Holdings(fleet.name, stack.environment())
    with hold_relays(stack.environment(), ledger) as through:
        made = Lab(fleet, holdings, first, second, ledger, through, tmp_path / "sync.log")
        with nothing_placed(made):
            yield made
            holdings.remove(made.log)


def try_moments(
    lab: Lab, before: str | None, commit: str, choose: Callable[[int], Iterable[int]], env: dict[str, str]
) -> Findings:
    """Die after each of the chosen writes of a sync from `before` to `commit`; each time the end is the same.

    What all the witnesses found; each watches from the undisturbed state before to the converged one.
    """
    lab.start_from(before)
    lab.ledger.clear()
    assert lab.fleet.sync(commit, wait=False, through=lab.through).is_clean
    writes = list(lab.ledger.writes)
    wanted = lab.end_with(commit)
    found: list[Findings] = []
    for number in choose(len(writes)):
        lab.start_from(before)
        with watch(env, lab.fleet) as witness:
            lab.sync_and_die(commit, has_made(number))
            assert lab.ledger.writes == writes[:number]
            assert lab.end_with(commit) == wanted, f"killed after write {number}, {writes[number - 1]}"
            found.append(witness.judge())
    print(f"killed after {len(found)} of {len(writes)} writes")
    return Findings(
        tuple(one for each in found for one in each.deletions),
        tuple(one for each in found for one in each.lost),
        tuple(one for each in found for one in each.cuts),
    )


def record(request: pytest.FixtureRequest, found: Findings) -> None:
    request.node.user_properties.append(("findings", asdict(found)))
    assert found.is_empty, found


def sample(writes: int) -> list[int]:
    return [round(share * writes) for share in SAMPLE]


@pytest.mark.row("kill -9 after each write of a 20-box sync")
def test_killed_in_a_sync_of_twenty_boxes(
    lab: Lab, env: dict[str, str], request: pytest.FixtureRequest
) -> None:
    record(request, try_moments(lab, lab.first, lab.second, sample, env))


# every moment takes half a minute, so that all of them are shared out among those who run at once
@pytest.mark.long
@pytest.mark.row("kill -9 after each write of a 20-box sync")
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_each_write_of_the_first_sync(
    lab: Lab, env: dict[str, str], request: pytest.FixtureRequest, part: int
) -> None:
    record(request, try_moments(lab, None, lab.first, share(part), env))


@pytest.mark.long
@pytest.mark.row("kill -9 after each write of a 20-box sync")
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_each_write_of_an_update(
    lab: Lab, env: dict[str, str], request: pytest.FixtureRequest, part: int
) -> None:
    record(request, try_moments(lab, lab.first, lab.second, share(part), env))


def share(part: int) -> Callable[[int], Iterable[int]]:
    """Of so many writes every PARTS-th, from another one in each part."""
    return lambda writes: range(1 + part, writes + 1, PARTS)
