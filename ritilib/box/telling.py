"""Tells the servers what the box has in force and how it is: the newest of each, once, and a check that lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import random as any_random

from ritilib.box.follow import BACK
from ritilib.box.gateway import Busy
from ritilib.box.own import Access, Asking, OwnServers, Tokens
from ritilib.box.report import Report
from ritilib.errors import RitiError
from ritilib.reconcile.backoff import Backoff, Random, spread
from ritilib.render.names import UnitNames

# 10,000 boxes: 170 requests a second, none of which Consul writes down. Three may be lost.
CHECK_EVERY_S = 60.0
CHECK_TTL_S = 200.0
# A report without news, so that its uptime, temperature and room are of today. Consul writes each down.
REPORT_EVERY_S = 3600.0
SOON_S = 60.0  # between two reports that differ in little
MOST_BYTES = 16_000  # of one value: the gateway lets no more through


class Teller:
    """The agent gives it the newest word and report; it tells them in a thread of its own."""

    def __init__(
        self,
        access: Access,
        names: UnitNames,
        stopped: threading.Event,
        monotonic: Callable[[], float] = time.monotonic,
        random: Random = any_random,
        backoff: Backoff = BACK,
    ) -> None:
        self._access, self._asking, self._names = access, Asking(access), names
        self._stopped, self._monotonic, self._random, self._backoff = stopped, monotonic, random, backoff
        self._moved = threading.Condition()
        self._word: bytes | None = None
        self._report: Report | None = None
        self._told_word: bytes | None = None
        self._told_report: Report | None = None
        self._report_at_s = self._check_at_s = float("-inf")
        self._status = ""

    def give(self, word: bytes | None, report: Report) -> None:
        """What is so now; word is the watcher's state as it stands, None where there is none."""
        with self._moved:
            self._word = word or self._word
            self._report = report
            self._moved.notify_all()

    def run(self) -> None:
        """Until stopped."""
        failures = 0
        while not self._stopped.is_set():
            with self._moved:
                self._moved.wait_for(lambda: self._stopped.is_set() or self.is_due(), 1.0)
                due = self.is_due()
            if not due or not self._access.wait_certified(1.0):
                continue
            try:
                self._asking.ask(self.step)
                failures = 0
            except RitiError as error:
                failures += 1
                pause_s = error.pause_s if isinstance(error, Busy) else 0.0
                self._stopped.wait(pause_s + self._backoff.delay(failures, self._random))

    def is_due(self) -> bool:
        """Whether there is anything to tell now."""
        return self._report is not None and (self._has_word() or self._has_report() or self._needs_check())

    def step(self, servers: OwnServers, tokens: Tokens) -> None:
        """Tell all that is due; what is told is not told again, also where the next one fails."""
        with self._moved:
            word, report = self._word, self._report
            has_word, has_report, needs_check = self._has_word(), self._has_report(), self._needs_check()
        assert report is not None
        if has_word and word is not None:
            if len(word) <= MOST_BYTES:
                servers.put(tokens.consul, self._names.box_word, word)
            self._told_word = word
        if has_report:
            servers.put(tokens.consul, self._names.box_report, report.encode())
            self._told_report, self._report_at_s = report, self._monotonic()
        if needs_check:
            if not servers.tell_check(tokens.consul, report.status, report.note):
                servers.register(tokens.consul, CHECK_TTL_S)
                servers.tell_check(tokens.consul, report.status, report.note)
            self._status = report.status
            self._check_at_s = self._monotonic() + spread(CHECK_EVERY_S, self._random, 0.2)

    def _has_word(self) -> bool:
        return self._word is not None and self._word != self._told_word

    def _has_report(self) -> bool:
        report, told = self._report, self._told_report
        if report is None or report == told:
            return False
        age_s = self._monotonic() - self._report_at_s
        if told is None or age_s >= REPORT_EVERY_S or report.is_news_after(told):
            return True
        return age_s >= SOON_S and report.gist != told.gist

    def _needs_check(self) -> bool:
        report = self._report
        return self._monotonic() >= self._check_at_s or (report is not None and report.status != self._status)
