"""Notices what others change in Consul and Nomad, without asking for each job: it wakes the loop, and decides nothing.

Our own writes wake the loop too. The cycle that follows finds nothing to do, which proves that they arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import random as any_random

from ritilib.clients.consul import Consul
from ritilib.clients.nomad_events import NomadEvents
from ritilib.clients.protocols import ConsulClient
from ritilib.clients.settings import Settings
from ritilib.clients.watching import WatchSession
from ritilib.errors import RitiError
from ritilib.reconcile.backoff import Backoff, Random
from ritilib.sync.observe import Places, read_suspensions
from ritilib.sync.wake import Report, Wakeups

WAIT_S = 60.0  # one blocking query
PAUSE_S = 0.5  # after a change: a thousand writes in a row are one wake and not a thousand lists of keys
TURNS_PAUSE_S = 2.0  # a rollout of thousands writes twice for each
GATHER_S = 0.1  # boxes that ask together are one wake; each waits for its dial tone
END_S = 5.0
AGAIN = Backoff(first_s=1.0, longest_s=60.0)


class Watch:
    """One thread that follows something again and again; what that raises is reported, and it goes on after a pause."""

    def __init__(
        self,
        name: str,
        follow: Callable[[Watch], None],
        abort: Callable[[], None],
        report: Report,
        random: Random = any_random,
    ) -> None:
        """follow runs until the watch is ended or the other side fails; abort breaks off what it waits for."""
        self.name = name
        self._follow = follow
        self._abort = abort
        self._report = report
        self._random = random
        self._ended = threading.Event()
        self._failures = 0
        # a daemon: a loop that ends in an error it did not expect must not be kept alive by its watches
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_ended(self) -> bool:
        """Whether `stop` was called."""
        return self._ended.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end: the request that waits is broken off. `join` waits for it."""
        self._ended.set()
        self._abort()

    def join(self) -> bool:
        """Whether the thread has ended, within END_S at most."""
        self._thread.join(END_S)
        return not self._thread.is_alive()

    def pause(self, seconds: float) -> None:
        """Wait, or not where it is to end."""
        self._ended.wait(seconds)

    def note_good(self) -> None:
        """The other side answers: the next failure is the first in a row."""
        self._failures = 0

    def _run(self) -> None:
        while not self.is_ended:
            try:
                self._follow(self)
            except RitiError as error:
                if self.is_ended:
                    return
                self._failures += 1
                self._report(self.name, error)
                self.pause(AGAIN.delay(self._failures, self._random))


def follow_values(watch: Watch, consul: ConsulClient, prefix: str, wakeups: Wakeups) -> None:
    """Wake the loop when a key below prefix is written, made or deleted, and once at the start.

    The first answer tells nothing of what changed before it, so it wakes: after an outage the gap is looked at.
    """
    seen = None
    index = 0
    while not watch.is_ended:
        keys = consul.list_keys(prefix, index, WAIT_S)
        watch.note_good()
        # without keys the index is the whole KV's, which others move
        now = keys if keys.keys else keys.keys
        if now != seen:
            wakeups.wake("drift")
            seen = now
        if keys.index != index:
            watch.pause(PAUSE_S)
        index = keys.index if keys.index >= index else 0  # a restored Consul counts anew


def follow_suspensions(watch: Watch, consul: ConsulClient, places: Places, wakeups: Wakeups) -> None:
    """Wake the loop when something is suspended or lifted, and once at the start.

    What is waited for begins like the fleet's own entry too, which is always there: without any key, Consul answers
    whenever anything is written anywhere.
    """
    seen = None
    index = 0
    while not watch.is_ended:
        keys = consul.list_keys(f"{places.inventory}_", index, WAIT_S)
        if keys.index != index or seen is None:
            now = read_suspensions(places.fleet, consul)
            watch.note_good()
            if now != seen:
                # at the start nothing is known to be new, which would break off a cycle
                wakeups.wake("drift" if seen is None else "suspension")
                seen = now
            watch.pause(PAUSE_S)
        index = keys.index if keys.index >= index else 0


def follow_turns(watch: Watch, consul: ConsulClient, prefix: str, wakeups: Wakeups) -> None:
    """Wake the loop when a key of a PBX's instances is gone, when Consul shows an older state, and once at the start.

    What an instance writes wakes nobody: each start and each end of a PBX would.
    """
    seen: frozenset[str] = frozenset()
    index, is_still = 0, False
    while not watch.is_ended:
        # Consul waits where it was restored to before this index, so it is asked for a change of what it has now
        keys = consul.list_keys(prefix, index if is_still else 0, WAIT_S)
        watch.note_good()
        now = frozenset(keys.keys)
        if not index or keys.index < index or seen - now:
            wakeups.wake("turns")
        is_still = keys.index == index
        if not is_still:
            watch.pause(TURNS_PAUSE_S)
        seen, index = now, keys.index


def follow_enrollment(watch: Watch, consul: ConsulClient, prefix: str, wakeups: Wakeups) -> None:
    """Wake the loop when a box asks, and when what is bound changes; not at the start: a cycle looks by itself.

    Without any key Consul answers whenever anything is written anywhere; the registry writes one for each merged box.
    """
    index = 0
    seen: tuple[str, ...] | None = None
    while not watch.is_ended:
        keys = consul.list_keys(prefix, index, WAIT_S)
        watch.note_good()
        if seen is not None and (keys.keys != seen or (keys.keys and keys.index != index)):
            wakeups.wake("enroll")
        seen, index = keys.keys, keys.index if keys.index >= index else 0  # a restored Consul counts anew
        watch.pause(GATHER_S)


def follow_hooks(watch: Watch, consul: ConsulClient, key: str, asks: Wakeups) -> None:
    """Have Git looked at when another instance passes a webhook on, and once at the start: one may have come while
    nobody led."""
    index, seen = 0, -1
    while not watch.is_ended:
        held = consul.watch(key, index, WAIT_S)
        watch.note_good()
        now = held.entry.modify_index if held.entry else 0
        if now != seen:
            asks.wake("webhook")
            seen = now
        if held.index != index:
            watch.pause(PAUSE_S)
        index = held.index if held.index >= index else 0


class JobFollower:
    """Wakes the loop when a job whose id starts with prefix changes, and once for each connection."""

    def __init__(self, events: NomadEvents, prefix: str, wakeups: Wakeups) -> None:
        self._events = events
        self._prefix = prefix
        self._wakeups = wakeups
        self._index = 0  # of the last event, from which the next connection goes on

    def __call__(self, watch: Watch) -> None:
        is_new = True
        for told in self._events.follow_jobs(self._index + 1 if self._index else 0):
            watch.note_good()
            if is_new or any(job_id.startswith(self._prefix) for job_id in told.job_ids):
                self._wakeups.wake("drift")
            is_new = False
            self._index = told.index or self._index


@contextmanager
def watch_drift(
    fleet: str, settings: Settings, wakeups: Wakeups, report: Report, asks: Wakeups
) -> Iterator[tuple[Watch, ...]]:
    """The watches of a fleet, while it lasts; their threads have ended when it is over.

    asks have Git looked at. report is called from these threads with the watch's name and what it could not do; each
    goes on trying.
    """
    places = Places(fleet)
    for_consul, for_nomad = WatchSession(settings.consul.verify), WatchSession(settings.nomad.verify)
    for_suspensions = WatchSession(settings.consul.verify)
    for_enrollment, for_hooks = WatchSession(settings.consul.verify), WatchSession(settings.consul.verify)
    consul, suspending = Consul(settings, for_consul), Consul(settings, for_suspensions)
    enrolling, hooking = Consul(settings, for_enrollment), Consul(settings, for_hooks)
    for_turns = WatchSession(settings.consul.verify)
    turning = Consul(settings, for_turns)
    follower = JobFollower(NomadEvents(settings, for_nomad), places.jobs, wakeups)
    watches = (
        Watch(
            "consul-values",
            lambda watch: follow_values(watch, consul, places.live, wakeups),
            for_consul.abort,
            report,
        ),
        Watch("nomad-jobs", follower, for_nomad.abort, report),
        Watch(
            "suspensions",
            lambda watch: follow_suspensions(watch, suspending, places, wakeups),
            for_suspensions.abort,
            report,
        ),
        Watch(
            "enrollment",
            lambda watch: follow_enrollment(watch, enrolling, places.enrollment, wakeups),
            for_enrollment.abort,
            report,
        ),
        Watch(
            "turns",
            lambda watch: follow_turns(watch, turning, places.generations, wakeups),
            for_turns.abort,
            report,
        ),
        Watch(
            "hooks-passed-on",
            lambda watch: follow_hooks(watch, hooking, places.wake, asks),
            for_hooks.abort,
            report,
        ),
    )
    for watch in watches:
        watch.start()
    try:
        yield watches
    finally:
        for watch in watches:
            watch.stop()
        for watch in watches:
            watch.join()
