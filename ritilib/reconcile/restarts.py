"""Which changes are known to replace a task that runs. Pure functions of values.

What Nomad says of a wished job beside a live one stays so while neither changes, so it need not be asked in each cycle
of a rollout for a thousand PBXes whose wave has not come. It decides who waits, and nothing else: whose turn it is, is
asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ritilib.reconcile.plan import Change
from ritilib.reconcile.state import LiveJob


@dataclass(frozen=True)
class Restart:
    """job: SHA-256 of the wished one, which would replace the task of the live one, of this JobModifyIndex."""

    job: str
    modify_index: int


Restarts = Mapping[str, Restart]  # by unit
NOTHING_KNOWN: Restarts = MappingProxyType({})


def keep_known(known: Restarts, changes: Iterable[Change], jobs: Mapping[str, LiveJob]) -> dict[str, Restart]:
    """Of what is known, that which still holds: neither job has changed, and something runs that would be replaced.

    Where nothing runs any more, there is nothing to wait for, as Nomad says when it is asked again.
    """
    return {
        change.key: known[change.key]
        for change in changes
        if change.key in known
        and change.job
        and (job := jobs.get(change.wish.names.job_id)) is not None
        and _has_task(job)
        and known[change.key] == Restart(change.wish.digests.job, job.modify_index)
    }


def note_asked(known: Restarts, asked: Mapping[str, Restart | None]) -> dict[str, Restart]:
    """What is known after some units were attempted: unit → what was found (None: it waits for nothing any more)."""
    left = {key: restart for key, restart in known.items() if key not in asked}
    return left | {key: restart for key, restart in asked.items() if restart}


def _has_task(job: LiveJob) -> bool:
    if job.stopped:
        return False
    counts = job.allocations
    return counts is None or any(counts.get(state) for state in ("running", "starting", "unknown"))
