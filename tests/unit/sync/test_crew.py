"""Units that are applied side by side: all of them, in a result that has their order, and none after an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest

from ritilib.errors import Conflict, LeadershipLost, RitiError, Unreachable
from ritilib.reconcile.plan import Change
from ritilib.reconcile.state import Wish
from ritilib.sync.crew import Attempt, Work
from ritilib.sync.once import sync_once
from ritilib.sync.unit.apply import Outcome, Servers
from tests.unit.removing import World, make_desired, name

KEYS = tuple(f"acme/b{number:03}" for number in range(40))
DEADLINE_S = 20.0
CREW = tuple(cast(Servers, f"clients {number}") for number in range(8))


def make_work(attempt: Attempt, go_on: Callable[[], bool] = lambda: True) -> tuple[Work, list[str]]:
    told: list[str] = []
    changes = [Change(Wish(name(key), {}, False, None), True, True, True, True, ("new",)) for key in KEYS]
    return Work(changes, attempt, go_on, told.append), told


@pytest.mark.parametrize("crew", [CREW[:1], CREW])
def test_all_are_attempted_and_come_back_in_their_order(crew: tuple[Servers, ...]) -> None:
    work, told = make_work(lambda change, servers: Outcome(change.key))
    found = [(change.key, one) for change, one in work.do(crew)]
    assert found == [(key, Outcome(key)) for key in KEYS]
    assert told == [f"{key}: new" for key in KEYS]


def test_as_many_at_once_as_there_are_clients_and_each_by_its_own() -> None:
    all_here = threading.Barrier(len(CREW))
    used: dict[Servers, set[int]] = {}

    def attempt(change: Change, servers: Servers) -> Outcome:
        used.setdefault(servers, set()).add(threading.get_ident())
        all_here.wait(DEADLINE_S)  # forty units are five times eight
        return Outcome(change.key)

    work, _ = make_work(attempt)
    assert len(list(work.do(CREW))) == len(KEYS)
    assert set(used) == set(CREW)
    assert all(len(threads) == 1 for threads in used.values())
    assert len(set.union(*used.values())) == len(CREW)


def test_a_unit_that_fails_leaves_the_others_alone() -> None:
    def attempt(change: Change, servers: Servers) -> Outcome:
        if change.key == KEYS[3]:
            raise Conflict.because("somebody wrote in between", "again")
        return Outcome(change.key)

    work, _ = make_work(attempt)
    found = [one for _, one in work.do(CREW)]
    assert len(found) == len(KEYS)
    assert [isinstance(one, RitiError) for one in found].index(True) == 3


@pytest.mark.parametrize("crew", [CREW[:1], CREW])
def test_no_more_are_begun_where_a_server_is_away(crew: tuple[Servers, ...]) -> None:
    def attempt(change: Change, servers: Servers) -> Outcome:
        raise Unreachable.because("no answer", "wait")

    work, told = make_work(attempt)
    found = list(work.do(crew))
    assert 1 <= len(found) == len(told) <= len(crew)


@pytest.mark.parametrize("error", [LeadershipLost.because("it leads no more", ""), KeyError("a defect")])
@pytest.mark.parametrize("crew", [CREW[:1], CREW])
def test_whoever_leads_no_more_begins_nothing(crew: tuple[Servers, ...], error: Exception) -> None:
    def attempt(change: Change, servers: Servers) -> Outcome:
        raise error

    work, told = make_work(attempt)
    with pytest.raises(type(error)):
        work.do(crew)
    assert 1 <= len(told) <= len(crew)


def test_it_ends_between_two_units() -> None:
    begun: list[str] = []
    work, _ = make_work(
        lambda change, servers: Outcome(change.key), lambda: len(begun) < 5 and not begun.append("")
    )
    assert [change.key for change, _ in work.do(CREW)] == list(KEYS[:5])


def test_a_sync_by_a_crew_does_what_one_alone_does() -> None:
    desired = make_desired("c1", KEYS)
    alone, together = World(), World()
    done = alone.sync(desired)
    by_crew = sync_once(
        desired,
        together.servers,
        (),
        lambda _line: None,
        newest=lambda known: known,
        clock=lambda: together.now,
        crew=[together.servers] * 7,
    )
    assert by_crew.changed == done.changed == KEYS
    assert (by_crew.is_clean, by_crew.left) == (True, 0)
    assert {key: one.value for key, one in together.consul.entries.items() if "/pbx/" in key} == {
        key: one.value for key, one in alone.consul.entries.items() if "/pbx/" in key
    }
    assert together.nomad.jobs.keys() == alone.nomad.jobs.keys()
    assert together.sync(desired).changed == ()
