"""The controller as a service: stands for election, and while it leads makes the servers equal to the newest commit.

One loop in one thread: look at what is due, sync, wait. Beside it a thread follows Git (ritilib.sync.source), some
notice what others change (ritilib.sync.drift), and some answer HTTP; none of them writes to a server, but the one that
passes webhooks on to the leader (ritilib.sync.passing).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import random as any_random

from ritilib.clients.settings import Settings
from ritilib.errors import Denied, LeadershipLost, RitiError
from ritilib.gitops.desired import Desired
from ritilib.reconcile.backoff import Random
from ritilib.reconcile.lost import LOST_AFTER
from ritilib.reconcile.state import hash_text
from ritilib.sync.chronicle import Chronicle
from ritilib.sync.enroll.registry import Registry
from ritilib.sync.lead.accepted import note_accepted, read_accepted
from ritilib.sync.lead.election import Candidate, Leadership, take_lead
from ritilib.sync.once import read_clock, sync_once
from ritilib.sync.pace import Memory, Pace, find_pause, forget_old, learn, list_not_due, note_failed
from ritilib.sync.seen.publish import Publisher
from ritilib.sync.source import Source
from ritilib.sync.unit.apply import Servers
from ritilib.sync.wake import Report, Wakeups

CREW = 8  # units at the same time: a connection each to each server, and Consul allows one client 200
MOST_DENIED = 10  # elections in a row, which take some minutes (Pace.cycle)
MOST_CREW = 64
PATIENCE_S = 60.0  # so long it stands before it shows that it lives, and renews its standing token

Connect = Callable[[Settings, str], Servers]  # a leader's settings and the fleet's name
Watch = Callable[[str, Settings, Wakeups, Report], AbstractContextManager[object]]
Enroll = Callable[[Sequence[Servers], str, str], Registry]  # the crew's clients, the fleet's name and its id
ENROLL_S = (
    5.0  # so long a cycle goes on although a box asks: else a thousand of them would let none be applied
)


@dataclass
class Service:
    """Everything that the loop needs. candidate gives who stands for election for a fleet, once its name is known;
    connect is called once for each of the crew, the units that are applied at the same time. enroll gives what lets
    boxes in (None: nobody does), before each cycle, so that the PBX of a box that comes is made in the same.

    stopped ends it, with `stop`: the unit in hand is finished, the leader's lock given back.
    """

    source: Source
    candidate: Callable[[str], Candidate]
    connect: Connect
    watch: Watch
    wakeups: Wakeups
    chronicle: Chronicle
    pace: Pace = field(default_factory=Pace)
    crew: int = CREW
    enroll: Enroll | None = None
    lost_after: timedelta = LOST_AFTER
    clock: Callable[[], datetime] = read_clock
    monotonic: Callable[[], float] = time.monotonic
    random: Random = any_random
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._memory = Memory()
        self._failures = 0  # to lead, in a row
        self._left: set[str] = set()  # sessions, see Candidate
        self._denied = 0  # of these, those of its standing tokens
        self._registry: Registry | None = None
        self._began_s = 0.0
        self._looks_at_turns = False  # until a cycle has

    def stop(self) -> None:
        """Have `serve` end; from any thread, but not from a signal's handler, which may hold the event's lock."""
        self.stopped.set()
        self.wakeups.close()

    def serve(self) -> None:
        """Until `stop`. What goes wrong is told to the chronicle and tried again.

        Raises what is a defect, and Denied where its standing tokens stay worthless (MOST_DENIED): whoever started it
        may have better ones, as Nomad gives each allocation its own.
        """
        desired = self._await_commit()
        while desired and not self.stopped.is_set():
            has_led, began_s = False, self.monotonic()
            try:
                candidate = self.candidate(desired.fleet)
                candidate = replace(candidate, report=self.chronicle.note_waiting, left=self._left)
                with take_lead(candidate, PATIENCE_S, self.stopped) as leadership:
                    has_led = True
                    self._denied = 0
                    self._lead(leadership, desired.fleet)
                if not self.stopped.is_set():
                    self.chronicle.note_role(leads=False)  # its term is over
                continue
            except LeadershipLost as error:
                self._denied = 0
                self.chronicle.note_role(leads=False)
                self.chronicle.board.beat()
                waited_s = self.monotonic() - began_s
                if not has_led and (self.stopped.is_set() or waited_s >= PATIENCE_S):
                    continue  # another leads, and it was waited for
                self.chronicle.report("leading", error)
            except RitiError as error:
                self.chronicle.note_role(leads=False)
                self.chronicle.note_failed_cycle(error, 0.0)
                self._denied = self._denied + 1 if isinstance(error, Denied) and not has_led else 0
                if self._denied >= MOST_DENIED:
                    raise
            self._failures += 1
            self._rest(self.pace.cycle.delay(self._failures, self.random))
        self.chronicle.note_end()

    def _await_commit(self) -> Desired | None:
        """The first commit that can be used; None where it is to end before."""
        while not (desired := self.source.desired) and not self.stopped.is_set():
            self.wakeups.wait(self.pace.slice_s)
            self.chronicle.board.beat()
        if desired:
            self.chronicle.note_commit(desired.commit)
        return desired

    def _lead(self, leadership: Leadership, fleet: str) -> None:
        """Cycle after cycle until the term is nearly over. Raises LeadershipLost, and Denied for all units alike."""
        self.chronicle.journal.hide(one.token for one in vars(leadership.settings).values())
        self.chronicle.note_role(leads=True, epoch=leadership.epoch, fleet=fleet)
        servers, *crew = [self.connect(leadership.settings, fleet) for _ in range(self.crew)]
        self._registry = None
        seen = Publisher(
            self.connect(leadership.settings, fleet).consul,
            fleet,
            leadership.lead,
            self.chronicle.journal.redact,
            self.chronicle.report,
            self.clock,
            self.monotonic,
            self.pace.seen_s,
        )
        if applied := read_accepted(servers.consul, fleet):
            self.source.bind(applied)
        with self.watch(fleet, leadership.settings, self.wakeups, self._report):
            while not self.stopped.is_set() and leadership.left_s > self.pace.leave_s:
                leadership.check()
                pause_s = self._cycle(servers, crew, seen)
                self._wait(leadership, pause_s, seen)
        self.chronicle.teller.finish()

    def _report(self, name: str, error: RitiError) -> None:
        """What a watch could not do. Where it may not, the leader's tokens may be gone, which a cycle finds out."""
        self.chronicle.report(name, error)
        if isinstance(error, Denied):
            self.wakeups.wake("retry")

    def _cycle(self, servers: Servers, crew: Sequence[Servers], seen: Publisher) -> float:
        """One cycle; seconds until the next."""
        held = self.source.held
        assert held  # once there is one there always is
        desired, accepted = held
        self.chronicle.note_commit(desired.commit)
        wishes = _WishesOf(desired)
        began_s, now = self.monotonic(), self.clock()
        self._began_s = began_s
        enroll_s = self._let_in(desired, (servers, *crew))
        memory = forget_old(self._memory, desired.commit, wishes)
        not_due = list_not_due(memory, now, began_s, self.pace)
        done = None
        seen.start_cycle(desired)
        try:
            note_accepted(servers.consul, desired.fleet, accepted)
            done = sync_once(
                desired,
                servers,
                (),
                partial(self._note_unit, desired, seen),
                wait=False,
                newest=self.source.look_again if self.source.is_current else None,
                clock=self.clock,
                floor=memory.floor,
                busy=memory.busy.keys(),
                restarts=memory.restarts,
                images=memory.images,
                not_due=not_due,
                go_on=lambda: self._may_go_on(desired),
                crew=crew,
                lost_after=self.lost_after,
                look_at_turns=self._looks_at_turns,
            )
            self._looks_at_turns = done.turns_left
        except (LeadershipLost, Denied):
            raise
        except RitiError as error:
            memory = note_failed(memory)
            self.chronicle.note_failed_cycle(error, self.monotonic() - began_s)
            seen.note_failed_cycle(error)
        ended_s = self.monotonic()
        if done:
            memory = learn(memory, done, not_due, wishes, ended_s, self.pace, self.random)
            self._memory = memory
            self.chronicle.note_cycle(done, memory, ended_s - began_s, self.clock())
            seen.note_cycle(done, memory)
            if len(done.denied) > 1 and done.denied == done.failed and not done.changed:
                raise Denied(
                    done.problems
                )  # a token that lost its rights; one unit alone may have a cause of its own
            self._failures = 0
        self._memory = memory
        pause_s = find_pause(memory, done, self.clock(), ended_s, self.pace, self.random)
        if self._looks_at_turns:
            pause_s = min(pause_s, self.pace.watched_s)
        return pause_s if enroll_s is None else min(pause_s, enroll_s)

    def _let_in(self, desired: Desired, crew: Sequence[Servers]) -> float | None:
        """Have the registry look; seconds until it wants to look again although nothing wakes it."""
        if self.enroll is None:
            return None
        if self._registry is None:
            self._registry = self.enroll(crew, desired.fleet, desired.fleet_id)
        try:
            step = self._registry.step(desired, lambda: not self.stopped.is_set())
        except (LeadershipLost, Denied):
            raise
        except RitiError as error:
            self.chronicle.report("enrollment", error)
            return ENROLL_S
        self.chronicle.note_enrolled(step, desired.commit)
        return step.again_s

    def _note_unit(self, desired: Desired, seen: Publisher, line: str) -> None:
        self.chronicle.note_unit(line, desired.commit)
        seen.note_unit()

    def _may_go_on(self, desired: Desired) -> bool:
        """Whether one more unit is begun: a newer commit may wish for something else, or it may be suspended by now."""
        self.chronicle.board.beat()
        if self.stopped.is_set() or self.wakeups.is_told("suspension"):
            return False
        if self.wakeups.is_told("enroll") and self.monotonic() - self._began_s >= ENROLL_S:
            return False
        return self.source.desired is desired

    def _wait(self, leadership: Leadership, pause_s: float, seen: Publisher) -> None:
        """For the next cycle, showing that it lives and still leads."""
        end_s = self.monotonic() + pause_s
        while not self.stopped.is_set():
            seen.flush(self.source.trouble)
            left_s = end_s - self.monotonic()
            reasons = self.wakeups.wait(max(0.0, min(left_s, self.pace.slice_s)))
            self.chronicle.board.beat()
            if reasons != {"timer"} or left_s <= self.pace.slice_s:
                self.chronicle.note_woken(reasons)
                self._looks_at_turns |= "turns" in reasons
                return
            leadership.check()

    def _rest(self, pause_s: float) -> None:
        end_s = self.monotonic() + pause_s
        while not self.stopped.is_set() and (left_s := end_s - self.monotonic()) > 0:
            self.stopped.wait(min(left_s, self.pace.slice_s))
            self.chronicle.board.beat()


@dataclass(frozen=True)
class _WishesOf:
    """Tells the wish of some units of a commit by a hash of their files; those that are gone are left out."""

    desired: Desired

    def __call__(self, keys: Iterable[str]) -> Mapping[str, str]:
        wanted = set(keys)
        return {
            unit.key: hash_text(repr(unit.digests or sorted(unit.files.items())))
            for unit in self.desired.units
            if unit.key in wanted
        }
