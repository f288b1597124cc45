"""What a box tells its servers: its word, its report and its check, each when it is news and none twice."""

from __future__ import annotations

import json
import threading

import pytest

from ritilib.box.own import Access
from ritilib.box.report import Machine, Report
from ritilib.box.telling import CHECK_EVERY_S, REPORT_EVERY_S, SOON_S, Teller
from ritilib.errors import Denied, Unreachable
from tests.fakes.own import FakeOwn
from tests.unit.box.inside import NAMES, Clock

REPORT = Report("0.1", "up", in_force="aa", confirmed=True, machine=Machine(1, 50, 10**9, None))


class Telling:
    def __init__(self, access: Access, servers: FakeOwn) -> None:
        self.clock, self.servers, self.access = Clock(), servers, access
        self.teller = Teller(access, NAMES, threading.Event(), self.clock, lambda: 0.5)

    def tell(self, word: bytes | None, report: Report, later_s: float = 1.0) -> None:
        self.clock.now_s += later_s
        self.teller.give(word, report)
        if self.teller.is_due():
            self.teller.step(self.servers, self.access.take())

    def count(self) -> tuple[int, int, int]:
        writes = self.servers.writes
        return writes.get(NAMES.box_word, 0), writes.get(NAMES.box_report, 0), len(self.servers.checks)


@pytest.fixture
def telling(access: Access, servers: FakeOwn) -> Telling:
    return Telling(access, servers)


def test_the_newest_word_and_report_are_told_once(telling: Telling) -> None:
    telling.tell(b"idle", REPORT)
    assert telling.count() == (1, 1, 1)
    telling.tell(b"idle", REPORT)
    assert telling.count() == (1, 1, 1)
    telling.tell(b"busy", REPORT)
    assert telling.count() == (2, 1, 1)
    assert telling.servers.values[NAMES.box_word].data == b"busy"
    assert json.loads(telling.servers.values[NAMES.box_report].data)["in_force"] == "aa"


def test_news_are_told_at_once_and_trifles_later(telling: Telling) -> None:
    telling.tell(None, REPORT)
    warmer = Report("0.1", "up", in_force="aa", confirmed=True, machine=Machine(2, 56, 10**9, None))
    telling.tell(None, warmer)
    assert telling.count()[1] == 1
    telling.tell(None, warmer, SOON_S)
    assert telling.count()[1] == 2
    older = Report("0.1", "up", in_force="aa", confirmed=True, machine=Machine(9, 56, 10**9, None))
    telling.tell(None, older, SOON_S)
    assert telling.count()[1] == 2
    telling.tell(None, older, REPORT_EVERY_S)
    assert telling.count()[1] == 3
    telling.tell(None, Report("0.1", "up", in_force="bb", confirmed=True))
    assert telling.count()[1] == 4


def test_the_check_lives_and_its_status_changes_at_once(telling: Telling) -> None:
    telling.tell(None, REPORT)
    assert telling.servers.checks == [("passing", REPORT.note)]
    telling.tell(None, REPORT, CHECK_EVERY_S * 1.2)
    assert len(telling.servers.checks) == 2
    telling.tell(None, Report("0.1", why="the value is refused", in_force="aa", confirmed=True))
    assert telling.servers.checks[-1][0] == "warning"
    # another agent of Consul answers, which does not know the box
    telling.servers.is_known = False
    telling.tell(None, REPORT, CHECK_EVERY_S * 1.2)
    assert telling.servers.is_known and telling.servers.checks[-1][0] == "passing"


def test_what_was_not_told_is_told_after_the_outage(telling: Telling) -> None:
    telling.access.take()
    telling.servers.is_away = True
    with pytest.raises(Unreachable):
        telling.tell(b"busy", REPORT)
    telling.servers.is_away = False
    telling.servers.end_tokens()
    with pytest.raises(Denied):
        telling.teller.step(telling.servers, telling.access.take())
    telling.access.forget(telling.access.take())
    telling.tell(b"idle", REPORT)
    assert telling.count() == (1, 1, 1)
