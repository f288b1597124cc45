"""A webhook is passed on to whoever leads: once for many, again where it failed, and never in a crowd."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.devstack.processes import poll
from ritilib.errors import Conflict, RitiError, Unreachable
from ritilib.reconcile.backoff import Backoff
from ritilib.sync import drift, passing
from ritilib.sync.observe import Places
from ritilib.sync.passing import Passing, pass_on, run_passing
from ritilib.sync.wake import Wakeups
from tests.fakes.consul import FakeConsul

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = Places("demo").wake
NEXT_S = 20


class Lab:
    """An instance that passes on to a fake Consul; fleet: what it knows itself to be of."""

    def __init__(self) -> None:
        self.consul, self.asks, self.fleet = FakeConsul(), Wakeups(), "demo"
        self.said: queue.Queue[RitiError] = queue.Queue()
        self.errors: list[RitiError] = []  # that connecting raises, one after the other
        self._now = NOW

    def tick(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def connect(self) -> FakeConsul:
        if self.errors:
            raise self.errors.pop()
        return self.consul

    @contextmanager
    def run(self) -> Iterator[None]:
        made = Passing(self.asks, lambda: self.fleet or None, self.connect, "host:1", self.tick)
        with run_passing(made, self.asks, lambda _, error: self.said.put(error), lambda: 0.5):
            yield

    def count(self) -> int:
        return sum(one == f"consul write {KEY}" for one in self.consul.journal.writes)

    def wait(self, count: int) -> None:
        assert poll(lambda: self.count() == count, NEXT_S), f"write {count}"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, no_thread_left: None) -> Lab:
    monkeypatch.setattr(drift, "AGAIN", Backoff(first_s=0.01, longest_s=0.02))
    monkeypatch.setattr(passing, "PASS_EVERY_S", 0.01)
    return Lab()


def test_each_hook_is_written_and_says_by_whom_and_when(lab: Lab) -> None:
    with lab.run():
        for count in (1, 2, 3):
            lab.asks.wake("webhook")
            lab.wait(count)
    assert json.loads(lab.consul.entries[KEY].value)["who"] == "host:1"


def test_many_at_once_are_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "PASS_EVERY_S", 3600.0)
    with lab.run():
        lab.asks.wake("webhook")
        lab.wait(1)
        for _ in range(100):
            lab.asks.wake("webhook")
    assert lab.count() == 1


def test_one_that_failed_is_told_and_tried_again(lab: Lab) -> None:
    lab.errors = [Unreachable.because("Consul at x does not answer", "wait") for _ in range(3)]
    with lab.run():
        lab.asks.wake("webhook")
        lab.wait(1)
    assert lab.said.qsize() == 3


def test_who_knows_no_fleet_yet_tells_nobody(lab: Lab) -> None:
    lab.fleet = ""
    with lab.run():
        lab.asks.wake("webhook")
        assert poll(lambda: not lab.asks.is_told("webhook"), NEXT_S), "it is taken"
        lab.fleet = "demo"
        lab.asks.wake("webhook")
        lab.wait(1)


def test_another_that_tells_the_same_at_the_same_moment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    consul = FakeConsul()

    def refuse(key: str, value: bytes) -> bool:
        raise Conflict.because(f"{key} was written by somebody else meanwhile", "read again")

    monkeypatch.setattr(consul, "put", refuse)
    pass_on(consul, "demo", "host:1", NOW)
    assert consul.journal.writes == []
