"""`riti sync --once` leaves the same view and history as the service does."""

from __future__ import annotations

import time
from collections.abc import Callable

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import LeadershipLost, RitiError
from ritilib.gitops.desired import Desired
from ritilib.sync.journal import Journal
from ritilib.sync.lead.election import Leadership
from ritilib.sync.once import read_clock
from ritilib.sync.pace import Memory
from ritilib.sync.seen.publish import Publisher
from ritilib.sync.synced import Synced


def publish_cycle(
    desired: Desired,
    consul: ConsulClient,
    leadership: Leadership,
    journal: Journal,
    sync: Callable[[], Synced],
) -> Synced:
    """Run one cycle, and publish how it went; its result. consul is the leader's. Raises what sync raises.

    What cannot be published is a warning in the journal.
    """
    journal.hide(one.token for one in vars(leadership.settings).values())

    def warn(name: str, error: RitiError) -> None:
        journal.note_problems("not-done", error, "warning", part=name)

    seen = Publisher(consul, desired.fleet, leadership.lead, journal.redact, warn, read_clock, time.monotonic)
    seen.start_cycle(desired)
    try:
        done = sync()
    except LeadershipLost:
        raise
    except RitiError as error:
        seen.note_failed_cycle(error)
        seen.flush(is_urgent=True)
        raise
    seen.note_cycle(done, Memory())
    seen.flush(is_urgent=True)
    return done
