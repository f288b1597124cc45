"""Work shared among processes gives what one process gives."""

from __future__ import annotations

import gc
import os
import signal

import pytest

from ritilib.errors import FleetError, GitopsError, Problem
from ritilib.gitops.workers import hold_collection, map_forked, share_forked


def test_results_come_in_order_from_other_processes() -> None:
    offset = 1000  # a closure: it is inherited, and need not be sent
    found = map_forked(lambda number: (number + offset, os.getpid()), range(100), processes=2)
    assert [number for number, _ in found] == list(range(1000, 1100))
    assert os.getpid() not in {pid for _, pid in found}


def test_few_items_stay_here() -> None:
    assert map_forked(lambda _: os.getpid(), [1, 2, 3], least=2, processes=2) == [os.getpid()] * 3
    assert map_forked(lambda _: os.getpid(), [], processes=2) == []


def test_this_process_works_meanwhile() -> None:
    with share_forked(lambda number: number * 2, range(10), processes=2) as collect:
        own = [number * 2 for number in range(10)]
        assert collect() == own


def test_an_error_comes_whole_from_another_process() -> None:
    problem = Problem("fleet/fleet.yaml", 3, 1, "is wrong", "mend it")

    def fail(_: int) -> None:
        raise FleetError([problem])

    with pytest.raises(FleetError) as caught:
        map_forked(fail, range(4), processes=2)
    assert caught.value.problems == (problem,)


def test_a_process_that_was_killed_is_said_so() -> None:
    with pytest.raises(GitopsError, match="ended from outside"):
        map_forked(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(4), processes=2)


def test_collection_goes_on_afterwards() -> None:
    with pytest.raises(KeyError), hold_collection():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
