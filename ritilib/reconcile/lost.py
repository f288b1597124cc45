"""Which PBXes are given up with their host, and when. Pure functions of values.

A host that has lost Nomad's servers may be dead, or alive with calls. Nomad (1.10.5) can only place another instance as
soon as a heartbeat is missed, which would move each PBX for a blink of a link, or never; so the controller decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ritilib.reconcile.state import LiveJob, Wish

LOST_AFTER = timedelta(minutes=10)  # DESIGN, The overlay
TURN_TASK = "take"  # of jobs/pbx: it takes one of two addresses for its instance


@dataclass(frozen=True)
class Instance:
    """An instance that may run at a host which has lost Nomad's servers, since then."""

    id: str
    host: str
    since: datetime


@dataclass(frozen=True)
class Lost:
    """given_up: ids of instances that another is to follow now. until: when the next is due, None where none is."""

    given_up: tuple[str, ...] = ()
    until: datetime | None = None


def find_lost(wishes: Iterable[Wish], jobs: Mapping[str, LiveJob]) -> tuple[Wish, ...]:
    """The PBXes of which nothing is known to run, and an instance may, at a host that has lost Nomad's servers.

    Lighthouses are left out: they have one address.
    """
    return tuple(
        wish
        for wish in wishes
        if (job := jobs.get(wish.names.job_id)) is not None
        and not wish.names.is_lighthouse
        and is_silent(job)
    )


def takes_turns(job: Mapping[str, Any] | None) -> bool:
    """Whether a job, in Nomad's JSON, gives each instance one of two addresses; what was rendered before there were
    pairs does not, and is left to people: another instance would have the address of the first."""
    groups = (job or {}).get("TaskGroups") or ()
    return any(task["Name"] == TURN_TASK for group in groups for task in group.get("Tasks") or ())


def is_silent(job: LiveJob) -> bool:
    """Whether all that may run of a job is at hosts that have lost Nomad's servers."""
    counts = job.allocations or {}
    others = sum(counts.get(word, 0) for word in ("running", "starting", "queued"))
    return not job.stopped and bool(counts.get("unknown")) and not others


def judge_lost(
    instances: Iterable[Instance], hosts: Collection[str], lost_after: timedelta, now: datetime
) -> Lost:
    """What becomes of the instances of such a PBX; hosts: ids of the nodes that take work.

    Without another host nothing would follow, and the same instance is to go on when its own is back.
    """
    given_up: list[str] = []
    until: datetime | None = None
    for one in instances:
        if not set(hosts) - {one.host}:
            continue
        due = one.since + lost_after
        if due <= now:
            given_up.append(one.id)
        else:
            until = min(until or due, due)
    return Lost(tuple(given_up), until)
