"""The benchmarks of the sync still run, and on a fleet of two boxes cost no more requests than they may."""

from __future__ import annotations

from bench import sync_apply, sync_noop

QUIET = 3  # one job list, one read of the inventory, one of the keys


def test_a_sync_that_finds_nothing_to_do_costs_a_few_requests() -> None:
    [figures] = sync_noop.run(print, (2,))
    assert (figures["boxes"], figures["requests"]) == (2, QUIET)


def test_a_changed_box_costs_its_own_requests_alone() -> None:
    figures = sync_apply.measure_one(2, print)
    print(figures)
    assert figures["boxes"] == 2
    assert figures["requests"] <= QUIET + 15
