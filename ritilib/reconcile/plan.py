"""The plan: for each unit, which of its parts must be written and why. A pure function of values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ritilib.errors import Problem
from ritilib.reconcile.rotation import settle
from ritilib.reconcile.state import LiveJob, Observed, Record, Wish
from ritilib.render.names import UnitNames


@dataclass(frozen=True)
class Change:
    """One unit that is not as wished. Its parts are written in rule 11's order; reasons are for people.

    is_drift: its job was applied as wished once, and is not so any more. rotates: its links are to have
    other secrets, towards which its whole company goes step by step (reconcile.rotation).
    """

    wish: Wish
    secrets: bool
    policies: bool
    live: bool
    job: bool
    reasons: tuple[str, ...]
    is_drift: bool = False
    rotates: bool = False

    @property
    def key(self) -> str:
        return self.wish.names.key


@dataclass(frozen=True)
class Plan:
    """What a sync would write; what it would take away is for reconcile.prune to say.

    wishes are all that were compared; refused are the units whose wished job did not come up when it was tried: they
    stay what they were until Git wishes another.
    """

    wishes: tuple[Wish, ...]
    changes: tuple[Change, ...]
    conflicts: tuple[Problem, ...]
    refused: tuple[Wish, ...]
    unchanged: int
    live_index_moved: bool

    @property
    def is_empty(self) -> bool:
        return not self.changes


def make_plan(wishes: Iterable[Wish], fleet_id: str, observed: Observed) -> Plan:
    """Compare every wish with what was observed.

    A job that has a wish's name but not our mark is a conflict, and its unit is left alone (rule 4).
    """
    changes: list[Change] = []
    conflicts: list[Problem] = []
    refused: list[Wish] = []
    unchanged = 0
    compared = tuple(wishes)
    for wish in sorted(compared, key=lambda one: (not one.names.is_lighthouse, one.names.key)):
        job = observed.jobs.get(wish.names.job_id)
        if job and not is_ours(job, fleet_id, wish.names.key):
            conflicts.append(refuse_foreign(wish.names))
            continue
        record = observed.records.get(wish.names.key)
        if record and record.refuses(wish):
            refused.append(wish)
            continue
        change = _compare(wish, job, observed)
        if change:
            changes.append(change)
        else:
            unchanged += 1
    moved = observed.fleet is None or observed.fleet.live_index != observed.live_index
    return Plan(compared, tuple(changes), tuple(conflicts), tuple(refused), unchanged, moved)


def _compare(wish: Wish, job: LiveJob | None, observed: Observed) -> Change | None:
    record = observed.records.get(wish.names.key)
    if record is None:
        return Change(wish, True, True, True, True, ("new",))
    if record.state == "applying":
        return Change(wish, True, True, True, True, ("an earlier sync did not finish it",))
    secrets = _why_secrets(wish, record, observed.now)
    policies = ["policies"] if record.policies != wish.digests.policies else []
    live = _why_live(wish, record, observed)
    spec = _why_job(wish, record, job)
    rotates = record.holds != settle(wish.digests.generation)
    reasons = (*secrets, *policies, *live, *spec, *(["new secrets of its links"] if rotates else []))
    if not reasons:
        return None
    # A new version of the secrets is named in the live value, so that the job's templates read it at once.
    is_drift = record.job == wish.digests.job
    return Change(
        wish, bool(secrets), bool(policies), bool(live or secrets), bool(spec), reasons, is_drift, rotates
    )


def _why_secrets(wish: Wish, record: Record, now: datetime) -> list[str]:
    if record.secrets != wish.digests.secrets:
        return ["secrets"]
    if record.renew_at and now >= datetime.fromisoformat(record.renew_at):
        return ["certificate is due"]
    return []


def _why_live(wish: Wish, record: Record, observed: Observed) -> list[str]:
    if record.live != wish.digests.live:
        return ["dial plan or peers"]
    return _find_value_drift(wish.names, record, observed)


def _why_job(wish: Wish, record: Record, job: LiveJob | None) -> list[str]:
    if (job is None or job.stopped) and record.stopped_at:
        return ["wished again: its job was stopped when no manifest named it"]
    if job and not job.stopped and record.job != wish.digests.job:
        return ["job"]
    return _find_job_drift(record, job)


def find_drift(names: UnitNames, record: Record, observed: Observed) -> list[str]:
    """What somebody else did to a unit that was applied and not stopped by us; its wish is not asked for."""
    if record.state != "applied" or record.stopped_at:
        return []
    job = observed.jobs.get(names.job_id)
    return [*_find_value_drift(names, record, observed), *_find_job_drift(record, job)]


def _find_value_drift(names: UnitNames, record: Record, observed: Observed) -> list[str]:
    if names.kv_key not in observed.live_keys:
        return ["drift: its value in Consul is gone"]
    if observed.values is not None and observed.values.get(names.kv_key) != record.value:
        return ["drift: its value in Consul was changed"]
    return []


def _find_job_drift(record: Record, job: LiveJob | None) -> list[str]:
    if job is None:
        return ["drift: its job is gone"]
    if job.stopped:
        return ["drift: its job was stopped"]
    if job.modify_index != record.job_modify_index:
        return ["drift: its job was changed"]
    return []


def is_ours(job: LiveJob, fleet_id: str, key: str) -> bool:
    """Whether a job carries the whole mark of this fleet's unit (rule 4)."""
    return job.meta.get("riti.fleet") == fleet_id and job.meta.get("riti.box") == key


def refuse_foreign(names: UnitNames) -> Problem:
    """The conflict that a job of this name is when it is not ours."""
    what = f"job {names.job_id} exists and does not carry this fleet's mark for {names.key}"
    mend = "see whose it is; RITI changes nothing that is not its own"
    return Problem("", 0, 0, what, mend)
