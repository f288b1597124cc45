"""A webhook that reaches a follower is passed on to whoever leads, by one key of Consul: a forge knows one address.

The key says nothing that is believed: whoever follows it (ritilib.sync.drift) looks at Git, as after any webhook.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from random import random as any_random

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict
from ritilib.reconcile.backoff import Random
from ritilib.sync.drift import Watch
from ritilib.sync.observe import Places
from ritilib.sync.wake import Report, Wakeups

PASS_EVERY_S = 1.0  # a thousand hooks in a row are one write each second and not a thousand
WAIT_S = 60.0


def pass_on(consul: ConsulClient, fleet: str, who: str, now: datetime) -> None:
    """Tell the leader that the branch has moved; who and now are for people.

    Raises Unreachable, Denied or ServerError.
    """
    said = json.dumps({"who": who, "at": now.isoformat()}, sort_keys=True)
    with suppress(Conflict):  # another instance has just told the same
        consul.put(Places(fleet).wake, said.encode())


class Passing:
    """Passes on what it is asked for, as the body of a watch's thread: what fails is tried again."""

    def __init__(
        self,
        asks: Wakeups,
        fleet: Callable[[], str | None],
        connect: Callable[[], ConsulClient],
        who: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """asks are woken by each hook; fleet gives its name (None: not known yet); connect is called for each write,
        since standing tokens are renewed."""
        self._asks, self._fleet, self._connect, self._who, self._clock = asks, fleet, connect, who, clock
        self._is_asked = False

    def __call__(self, watch: Watch) -> None:
        while not watch.is_ended:
            self._is_asked = self._is_asked or "webhook" in self._asks.wait(WAIT_S)
            fleet = self._fleet()
            if not self._is_asked or fleet is None:
                self._is_asked = False  # who knows no commit has nobody to tell
                continue
            pass_on(self._connect(), fleet, self._who, self._clock())
            self._is_asked = False
            watch.note_good()
            watch.pause(PASS_EVERY_S)


@contextmanager
def run_passing(
    passing: Passing, asks: Wakeups, report: Report, random: Random = any_random
) -> Iterator[None]:
    """Its thread, while it lasts; asks are closed at its end."""
    watch = Watch("passing-on", passing, asks.close, report, random)
    watch.start()
    try:
        yield
    finally:
        watch.stop()
        watch.join()
