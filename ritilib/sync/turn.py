"""Whose turn it is, of what the inventory and the servers show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import datetime

from ritilib.gitops.desired import Desired
from ritilib.reconcile.plan import Plan
from ritilib.reconcile.rollout import Member, Turn, find_turn, order_waves
from ritilib.reconcile.state import LiveJob, Record


def choose_turn(
    desired: Desired,
    plan: Plan,
    records: Mapping[str, Record],
    jobs: Mapping[str, LiveJob],
    busy: Set[str],
    now: datetime,
) -> Turn:
    """The turn in the rollout of the desired commit; records are the inventory as it is now."""
    members = list(_list_members(desired, plan, records, jobs, busy))
    return find_turn(members, _find_canaries(desired), desired.rollout, desired.commit, now)


def number_waves(
    desired: Desired,
    plan: Plan,
    records: Mapping[str, Record],
    jobs: Mapping[str, LiveJob],
    busy: Set[str],
) -> dict[str, int]:
    """Box → the wave, from 1, in which it is replaced in the rollout of the desired commit."""
    members = _list_members(desired, plan, records, jobs, busy)
    waves = order_waves(members, _find_canaries(desired), desired.rollout, desired.commit)
    return {box: number for number, wave in enumerate(waves, 1) for box in wave}


def _find_canaries(desired: Desired) -> set[str]:
    return {unit.key for unit in desired.units if unit.canary}


def _list_members(
    desired: Desired,
    plan: Plan,
    records: Mapping[str, Record],
    jobs: Mapping[str, LiveJob],
    busy: Set[str],
) -> Iterator[Member]:
    """Those that wait for another task than they have, those whose task this commit replaced, and the refused ones."""
    waiting = {change.key: change.wish for change in plan.changes if change.job and not change.is_drift}
    refused = {wish.names.key for wish in plan.refused}
    for unit in desired.units:
        record = records.get(unit.key)
        if unit.key in waiting:
            job = jobs.get(waiting[unit.key].names.job_id)
            # what goes back in this very cycle was waiting when it was planned
            is_bad = record is not None and record.refuses(waiting[unit.key])
            if job and not job.stopped and not is_bad:
                yield Member(unit.key, "pending", busy=unit.key in busy)
                continue
        begun = record is not None and record.replaced_by == desired.commit
        if record is None or not (unit.key in refused or begun):
            continue
        since = datetime.fromisoformat(record.judged_at) if record.judged_at else None
        yield Member(unit.key, record.judged or "watched", since, begun=begun)
