"""Tells the forge and people what is news: the leader does, and of an outage whoever led last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from ritilib.clients.forge import State, Status
from ritilib.errors import Denied, GitopsError, RitiError, Unreachable
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.tell.channels import FORGE, NOTIFY, make_notice
from ritilib.sync.tell.events import Event, show, tell_conflicts, tell_leader, tell_refused
from ritilib.sync.tell.known import Known, Lasting, Limits, learn_away, learn_cycle
from ritilib.sync.tell.outbox import Letter, Outbox

SERVERS = ("Nomad", "Consul", "Vault")
GIT = "the fleet's repository"
# GitHub keeps 1,000 statuses of a commit and context; from this number on only another state is told
STATUSES = 100
_REMEMBERED = 50  # commits, the latest of which a status was told


class Teller:
    """Every method returns at once, but `finish`; from any thread. who is this instance, "host:pid"."""

    def __init__(
        self,
        outbox: Outbox,
        who: str,
        redact: Callable[[str], str],
        limits: Limits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """redact takes secrets out of a text, as Journal.redact does."""
        self._outbox, self._who, self._redact = outbox, who, redact
        self._limits, self._clock, self._monotonic = limits or Limits(), clock, monotonic
        self._lock = threading.Lock()
        self._fleet = ""
        self._leads = False
        # our number as the leader, while nobody else is known to have led since; 0: we did not
        self._led_last = 0
        self._known, self._away = Known(), Lasting()
        self._said: dict[str, tuple[State, str, int]] = {}  # commit → state, words, how many statuses
        self._refused: tuple[str, str] | None = None  # the newest commit and why, while it is not in force

    def note_lead(self, fleet: str, epoch: int) -> None:
        """This instance leads from now on; epoch counts the fleet's leaders from 1."""
        with self._lock:
            self._fleet, self._leads = fleet, True
            goes_on = self._led_last and epoch == self._led_last + 1
            self._led_last = epoch
            if not goes_on:
                self._known = Known(is_heir=epoch > 1)
                self._said.clear()
                self._tell(tell_leader(self._who, epoch))
            if self._refused:
                self._set_status(self._refused[0], "failure", self._refused[1])

    def note_lost(self) -> None:
        """It leads no more; perhaps nobody does."""
        with self._lock:
            self._leads = False
            self._forget_unsent()

    def note_other(self) -> None:
        """Another leads, and tells from now on."""
        with self._lock:
            self._leads, self._led_last, self._away = False, 0, Lasting()
            self._forget_unsent()

    def note_commit(self, commit: str) -> None:
        """The commit that the next cycle applies; that of a leader's first cycle may have been applied long ago."""
        with self._lock:
            is_new = self._leads and not self._known.is_first and commit != self._known.commit
            if is_new and commit not in self._said:
                self._set_status(commit, "pending", "it is being applied")

    def note_cycle(self, done: Synced, memory: Memory, missing: Collection[str] = ()) -> None:
        """A cycle came to its end; memory is the loop's after it, missing the servers that did not answer a unit."""
        with self._lock:
            self._note_away(SERVERS, missing)
            if not self._leads:
                return
            self._known, verdict, events = learn_cycle(
                self._known, done, memory, self._monotonic(), self._limits
            )
            self._set_status(done.commit, verdict.state, verdict.words)
            if verdict.state == "success":
                self._finish_older(done.commit)
            for event in events:
                self._tell(event)

    def note_alarms(self, causes: Mapping[str, str], commit: str) -> None:
        """Boxes that were locked out, and why; none: nothing is told."""
        with self._lock:
            if causes and self._leads:
                self._tell(tell_conflicts(causes, commit))

    def note_failed_cycle(self, commit: str, error: RitiError, missing: Collection[str]) -> None:
        """A cycle that wrote nothing; missing: the servers that did not answer."""
        with self._lock:
            self._note_away(SERVERS, missing)
            if self._leads and commit and isinstance(error, GitopsError):
                self._set_status(commit, "failure", str(error.problems[0]))

    def note_look(self, commit: str, error: RitiError | None) -> None:
        """A look at the repository: its newest commit ("": not known), and what is wrong with it (None: it is good)."""
        with self._lock:
            self._note_away((GIT,), (GIT,) if isinstance(error, Unreachable | Denied) else ())
            if error is None:
                self._refused = None
            elif commit and isinstance(error, GitopsError):
                is_new = self._refused is None or self._refused[0] != commit
                self._refused = (commit, str(error.problems[0]))
                if self._leads and is_new:
                    self._set_status(commit, "failure", self._refused[1])
                    self._tell(tell_refused(commit, self._refused[1]))

    def finish(self) -> None:
        """Before the lead is given back: wait a moment until what is to be said was sent."""
        self._outbox.flush()

    def _note_away(self, part: Collection[str], missing: Collection[str]) -> None:
        if self._leads or self._led_last:
            self._away, events = learn_away(self._away, part, missing, self._monotonic(), self._limits)
            for event in events:
                self._tell(event)

    def _finish_older(self, commit: str) -> None:
        """Commits that a later one overtook would else stay pending for ever."""
        for older, (state, _, _) in list(self._said.items()):
            if state == "pending" and older != commit:
                self._set_status(older, "success", f"applied with commit {show(commit)}, which came after it")

    def _forget_unsent(self) -> None:
        """What was not sent is not said: whoever leads next says it, perhaps we."""
        for commit in self._outbox.void():
            self._said.pop(commit, None)

    def _set_status(self, commit: str, state: State, words: str) -> None:
        words = self._redact(words)
        before, said, number = self._said.get(commit, ("", "", 0))
        # what becomes of a unit weeks after its commit was applied is no matter of that commit
        is_settled = before == "success" or (state == before and number >= STATUSES)
        if is_settled or (state, words) == (before, said):
            return
        self._said[commit] = (state, words, number + 1)
        while len(self._said) > _REMEMBERED:
            del self._said[next(iter(self._said))]
        status = Status(commit, state, words, f"riti/{self._fleet}")
        self._outbox.put(Letter(FORGE, status, replaces=commit, is_ours_alone=True))

    def _tell(self, event: Event) -> None:
        said = replace(event, text=self._redact(event.text))
        notice = make_notice(said, self._fleet, self._who, self._clock())
        for channel in self._outbox.channels:
            if channel.startswith(NOTIFY):
                self._outbox.put(Letter(channel, notice))
