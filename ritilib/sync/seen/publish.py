"""Writes the leader's view and history to Consul: where they say something new, and never in a hurry."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict, GitopsError, LeadershipLost, RitiError
from ritilib.gitops.desired import Desired
from ritilib.reconcile.leading import Lead
from ritilib.reconcile.wording import say
from ritilib.sync.observe import Places
from ritilib.sync.pace import Memory, Pace
from ritilib.sync.seen.compose import (
    Hide,
    View,
    note_cycle,
    note_failed_cycle,
    note_git,
    start_cycle,
)
from ritilib.sync.seen.history import MOST_ENTRIES, Entry, History, make_entry, read_history
from ritilib.sync.seen.status import Leader, Status, read_status
from ritilib.sync.synced import Synced
from ritilib.sync.wake import Report


@dataclass
class Cell:
    """A key that this process alone is to write; index: by which it may be written (None: not read yet)."""

    consul: ConsulClient
    key: str
    index: int | None = None

    def read(self) -> bytes | None:
        held = self.consul.read(self.key)
        self.index = held.modify_index if held else 0
        return held.value if held else None

    def write(self, value: bytes) -> None:
        """Raises Conflict where another wrote it meanwhile: then it has to be read again."""
        assert self.index is not None
        try:
            self.index = self.consul.write(self.key, value, self.index)
        except Conflict:
            self.index = None
            raise


class Publisher:
    """One leadership's publications; from any thread. What Consul does not take is reported as "status", and is tried
    again with the next; LeadershipLost is raised.

    consul is a client of its own, with the leader's token. hide takes secrets out of a text. clock and monotonic are
    the loop's; pause_s: between two writes of the view.
    """

    def __init__(
        self,
        consul: ConsulClient,
        fleet: str,
        lead: Lead,
        hide: Hide,
        report: Report,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        pause_s: float = Pace.seen_s,
    ) -> None:
        places = Places(fleet)
        self._status, self._history = Cell(consul, places.status), Cell(consul, places.history)
        self._fleet, self._leader = fleet, Leader(lead.who, lead.since, lead.epoch)
        self._hide, self._report, self._clock, self._monotonic = hide, report, clock, monotonic
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._units = 0
        self._view: View | None = None  # None until the view before it was read
        self._own: tuple[Entry, ...] = ()
        self._others: tuple[Entry, ...] = ()
        self._published: Status | None = None
        self._wrote_at_s = float("-inf")
        self._began = clock()

    def start_cycle(self, desired: Desired) -> None:
        """A cycle begins. The first time, what the leader before it said is read and gone on from."""
        with self._lock:
            self._began = self._clock()
            self._view = start_cycle(self._view or self._take_over(), desired.commit)
            self._units = len(desired.units)

    def note_unit(self) -> None:
        """One more unit is begun in this cycle."""
        with self._lock:
            if self._view:
                status = self._view.status
                self._view = replace(self._view, status=replace(status, begun=status.begun + 1))
                self._write_status(is_urgent=False)

    def note_cycle(self, done: Synced, memory: Memory) -> None:
        """A cycle came to its end; memory is the loop's after it."""
        with self._lock:
            assert self._view
            now, before = self._clock(), self._view.status.commit
            self._view = note_cycle(self._view, done, memory, self._units, now, self._monotonic(), self._hide)
            is_first_whole = before.applied != done.commit
            who, epoch = self._leader.who, self._leader.epoch
            if entry := make_entry(done, is_first_whole, who, epoch, self._began, now):
                self._own = (entry, *self._own)[:MOST_ENTRIES]
                self._write(self._history, self._read_history, self._encode_history)
            self._write_status(is_urgent=False)

    def note_failed_cycle(self, error: RitiError) -> None:
        """A cycle could not read what it needs."""
        with self._lock:
            assert self._view
            self._view = note_failed_cycle(self._view, error.problems, self._clock(), self._hide)
            self._write_status(is_urgent=False)

    def flush(self, git: RitiError | None = None, is_urgent: bool = False) -> None:
        """Write what is new and was not written yet, where its time has come or it is_urgent. git: why the newest
        commit is not in use."""
        with self._lock:
            if self._view:
                problems = git.problems if git else ()
                self._view = note_git(self._view, problems, self._clock(), self._hide)
                self._write_status(is_urgent)

    def _take_over(self) -> View:
        """The view before ours; an empty one where there is none or it cannot be read."""
        view = View(Status(self._fleet, leader=self._leader))
        try:
            if (held := self._status.read()) is not None:
                before = read_status(self._status.key, held)
                view = View(replace(before, fleet=self._fleet, leader=self._leader, begun=0))
        except LeadershipLost:
            raise
        except RitiError as error:
            self._report("status", error)
        return view

    def _write_status(self, is_urgent: bool) -> None:
        assert self._view
        status = replace(self._view.status, written="")
        now_s = self._monotonic()
        if status == self._published or not (is_urgent or now_s - self._wrote_at_s >= self._pause_s):
            return
        self._wrote_at_s = now_s
        value = replace(status, written=say(self._clock())).to_bytes()
        if self._write(self._status, self._status.read, lambda: value):
            self._published = status

    def _write(self, cell: Cell, read: Callable[[], object], make: Callable[[], bytes]) -> bool:
        """Whether it was written: what is there is read once, and again where another wrote it meanwhile."""
        try:
            for is_last in (False, True):
                if cell.index is None:
                    read()
                try:
                    cell.write(make())
                    return True
                except Conflict:
                    if is_last:
                        raise
        except LeadershipLost:
            raise
        except RitiError as error:
            self._report("status", error)
        return False

    def _read_history(self) -> None:
        """What others wrote; ours is added to it."""
        held = self._history.read()
        try:
            found = read_history(self._history.key, held).entries if held is not None else ()
        except GitopsError as error:
            self._report("status", error)
            found = ()
        self._others = tuple(one for one in found if one not in self._own)

    def _encode_history(self) -> bytes:
        return History((*self._own, *self._others)[:MOST_ENTRIES]).to_bytes()
