"""The outbox: everything is sent once, in order, and nobody ever waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ritilib.devstack.processes import poll
from ritilib.errors import Denied, RitiError, ServerError, Unreachable
from ritilib.reconcile.backoff import Backoff
from ritilib.sync.tell.outbox import TRIES, Letter, Outbox
from ritilib.sync.web.metrics import Metrics
from tests.unit.sync.tell.making import FakeChannel

DEADLINE_S = 60.0
QUICK = Backoff(first_s=0.01, longest_s=0.05)
NEVER = Backoff(first_s=3600.0, longest_s=3600.0, share=0.0)


@dataclass
class Case:
    forge: FakeChannel = field(default_factory=FakeChannel)
    notify: FakeChannel = field(default_factory=FakeChannel)
    reports: list[str] = field(default_factory=list)

    def open(self, backoff: Backoff = QUICK, **said) -> Outbox:
        self.metrics = Metrics()
        return Outbox(
            {"forge": self.forge, "notify-1": self.notify},
            self.metrics,
            lambda name, error: self.reports.append(f"{name}: {error}"),
            backoff=backoff,
            **said,
        )

    def count(self, channel: str, outcome: str) -> float:
        return self.metrics.told.labels(channel, outcome)._value.get()


def wait(holds: Callable[[], bool]) -> None:
    assert poll(holds, DEADLINE_S)


def away(words: str = "no answer") -> Exception:
    return Unreachable.because(words, "wait")


def test_letters_are_sent_in_order() -> None:
    case = Case()
    with case.open() as outbox:
        for number in range(20):
            outbox.put(Letter("forge", number))
        wait(lambda: len(case.forge.sent) == 20)
    assert case.forge.sent == list(range(20))
    assert case.count("forge", "sent") == 20
    assert case.reports == []


@pytest.mark.parametrize("error", [Unreachable, Denied])
def test_what_may_be_tried_again_is_and_keeps_its_place(error: type[RitiError]) -> None:
    case = Case()
    case.forge.errors = [error.because("not now", "wait")] * 3
    with case.open() as outbox:
        outbox.put(Letter("forge", "first"))
        outbox.put(Letter("forge", "second"))
        wait(lambda: len(case.forge.sent) == 2)
    assert case.forge.sent == ["first", "second"]
    assert (case.count("forge", "failed"), case.count("forge", "dropped")) == (3, 0)
    assert case.reports[0] == "telling: not now; wait"


@pytest.mark.parametrize("error", [ServerError.because("422", ""), ValueError("a defect")])
def test_what_will_never_be_taken_is_given_up_and_the_next_goes_on(error: Exception) -> None:
    case = Case()
    case.forge.errors = [error]
    with case.open() as outbox:
        outbox.put(Letter("forge", "first"))
        outbox.put(Letter("forge", "second"))
        wait(lambda: case.forge.sent == ["second"])
    assert (case.count("forge", "failed"), case.count("forge", "dropped")) == (1, 1)


def test_one_channel_that_fails_delays_no_other() -> None:
    case = Case()
    case.forge.errors = [away()]
    with case.open(NEVER) as outbox:
        outbox.put(Letter("forge", "status"))
        wait(lambda: case.forge.attempts == 1)
        outbox.put(Letter("notify-1", "notice"))
        wait(lambda: case.notify.sent == ["notice"])
        assert case.forge.sent == []


def test_a_newer_status_replaces_an_older_one_that_was_not_sent() -> None:
    case = Case()
    case.forge.free.clear()
    with case.open() as outbox:
        outbox.put(Letter("forge", "c1 pending", "c1"))
        wait(lambda: case.forge.attempts == 1)
        outbox.put(Letter("forge", "c1 wave 1", "c1"))
        outbox.put(Letter("forge", "c2 pending", "c2"))
        outbox.put(Letter("forge", "c1 success", "c1"))
        case.forge.free.set()
        wait(lambda: len(case.forge.sent) == 3)
    assert case.forge.sent == ["c1 pending", "c2 pending", "c1 success"]


def test_one_that_failed_does_not_come_after_its_newer_one() -> None:
    case = Case()
    case.forge.free.clear()
    case.forge.errors = [away()]
    with case.open() as outbox:
        outbox.put(Letter("forge", "c1 pending", "c1"))
        wait(lambda: case.forge.attempts == 1)
        outbox.put(Letter("forge", "c1 success", "c1"))
        case.forge.free.set()
        wait(lambda: case.forge.sent == ["c1 success"])
    assert case.forge.attempts == 2


def test_a_full_outbox_gives_up_the_oldest_and_counts_it() -> None:
    case = Case()
    case.forge.errors = [away()]
    with case.open(NEVER, limit=3) as outbox:
        outbox.put(Letter("forge", 0))
        wait(lambda: case.forge.attempts == 1)
        wait(lambda: case.count("forge", "failed") == 1)
        for number in range(1, 10):
            outbox.put(Letter("forge", number))
        assert case.count("forge", "dropped") == 7
    assert case.forge.sent == [7, 8, 9]  # tried at the end, and then well


def test_a_status_that_the_forge_cannot_take_lets_others_pass_and_is_given_up() -> None:
    case = Case()
    case.forge.errors = [away()] * TRIES
    with case.open(Backoff(first_s=0.001, longest_s=0.001)) as outbox:
        outbox.put(Letter("forge", "c1", "c1"))
        wait(lambda: case.forge.attempts >= 1)
        outbox.put(Letter("forge", "c2", "c2"))
        wait(lambda: case.count("forge", "dropped") == 1 or len(case.forge.sent) == 2)
        wait(lambda: not case.forge.errors)
        wait(lambda: bool(case.forge.sent))
    assert case.forge.attempts <= TRIES + 2
    assert "c2" in case.forge.sent


def test_the_pace_is_kept() -> None:
    case = Case()
    case.forge.pace_s = 3600.0
    with case.open() as outbox:
        outbox.put(Letter("forge", "first"))
        wait(lambda: case.forge.sent == ["first"])
        outbox.put(Letter("forge", "second"))
        outbox.put(Letter("notify-1", "notice"))
        wait(lambda: case.notify.sent == ["notice"])
        assert case.forge.sent == ["first"]
    assert case.forge.sent == ["first", "second"]


def test_at_the_end_what_is_left_is_tried_once_more() -> None:
    case = Case()
    case.forge.errors = [away(), away("still not")]
    with case.open(NEVER) as outbox:
        outbox.put(Letter("forge", "first"))
        wait(lambda: len(case.reports) == 1)
        outbox.put(Letter("notify-1", "notice"))
    assert (case.forge.attempts, case.forge.sent, case.notify.sent) == (2, [], ["notice"])
    assert case.count("forge", "dropped") == 1
    outbox.put(Letter("forge", "too late"))
    assert case.forge.attempts == 2


def test_an_end_waits_for_no_one_who_does_not_answer() -> None:
    case = Case()
    case.forge.free.clear()
    with case.open(end_s=0.05) as outbox:
        outbox.put(Letter("forge", "first"))
        outbox.put(Letter("forge", "second"))
        wait(lambda: case.forge.attempts == 1)
    assert case.forge.sent == []
    assert case.count("forge", "dropped") == 2


def test_when_another_leads_statuses_are_void_and_notices_are_not() -> None:
    case = Case()
    case.forge.free.clear()
    case.forge.errors = [away()]
    with case.open() as outbox:
        outbox.put(Letter("forge", "in hand", "c1", is_ours_alone=True))
        wait(lambda: case.forge.attempts == 1)
        outbox.put(Letter("forge", "unsent", "c2", is_ours_alone=True))
        outbox.put(Letter("notify-1", "notice"))
        assert outbox.void() == ["c2", "c1"]
        case.forge.free.set()
        wait(lambda: case.notify.sent == ["notice"])
        outbox.put(Letter("forge", "ours again", "c3", is_ours_alone=True))
        wait(lambda: case.forge.sent == ["ours again"])


def test_without_channels_nothing_runs_and_nobody_waits() -> None:
    before = threading.active_count()
    with Outbox({}, Metrics(), lambda name, error: None) as outbox:
        outbox.put(Letter("forge", "nobody"))
        outbox.flush()
        assert threading.active_count() == before


def test_flushing_waits_until_what_was_put_is_sent() -> None:
    case = Case()
    case.forge.pace_s = 3600.0
    with case.open() as outbox:
        for number in range(5):
            outbox.put(Letter("forge", number))
        outbox.flush()
        assert case.forge.sent == [0, 1, 2, 3, 4]
