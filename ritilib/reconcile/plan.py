"""The plan: for each unit, which of its parts must be written and why. A pure function of values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ritilib.errors import Problem
from ritilib.reconcile import authority
from ritilib.reconcile.rotation import settle
from ritilib.reconcile.state import LiveJob, Observed, Record, Wish
from ritilib.reconcile.suspensions import Pause
from ritilib.render.names import UnitNames

UNFINISHED = "an earlier sync did not finish it"
Part = Literal["secrets", "policies", "live", "job", "links"]
Cause = Literal["git", "drift", "time"]


@dataclass(frozen=True)
class Why:
    """Why one part must be written.

    cause: "git" wishes another; a hand has changed what was applied ("drift"); or only "time" has passed, while what is
    wished is what was applied.
    """

    part: Part
    cause: Cause
    reason: str


@dataclass(frozen=True)
class Change:
    """One unit that is not as wished. Its parts are written in rule 11's order; reasons are for people.

    is_drift: its job was applied as wished once, and is not so any more. rotates: its links are to have other secrets,
    towards which its whole company goes step by step (reconcile.rotation). whys: the causes, one for each part that is
    not as wished by itself. is_partial: only some of what is not as wished is to be written (reconcile.pauses).
    """

    wish: Wish
    secrets: bool
    policies: bool
    live: bool
    job: bool
    reasons: tuple[str, ...]
    is_drift: bool = False
    rotates: bool = False
    whys: tuple[Why, ...] = ()
    is_partial: bool = False

    @property
    def key(self) -> str:
        return self.wish.names.key


@dataclass(frozen=True)
class Paused:
    """What of a plan is left alone (reconcile.pauses).

    units: those with something that waits, absent ones too. unfinished: wishes that an earlier sync left in the middle.
    overdue: certificates that are not renewed. faults: suspensions that cannot be read. due: when the first pause ends
    by itself.
    """

    pauses: tuple[Pause, ...] = ()
    units: frozenset[str] = frozenset()
    unfinished: tuple[Wish, ...] = ()
    overdue: tuple[Problem, ...] = ()
    faults: tuple[Problem, ...] = ()
    due: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What a sync would write; what it would take away is for reconcile.prune to say.

    wishes are all that were compared; refused are the units whose wished job did not come up when it was tried: they
    stay what they were until Git wishes another. paused: what is not as wished either, and not in changes.
    awaiting: units of which nothing is made before their box is there.
    """

    wishes: tuple[Wish, ...]
    changes: tuple[Change, ...]
    conflicts: tuple[Problem, ...]
    refused: tuple[Wish, ...]
    unchanged: int
    live_index_moved: bool
    paused: Paused = Paused()
    awaiting: tuple[str, ...] = ()

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
            reason = why_due(wish, record, observed)
            if reason and is_renewable(wish, record):
                why = Why("secrets", "time", reason)
                changes.append(make_change(wish, (why,), False, is_partial=True))
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
        return _make_whole(wish, "new", "git")
    if record.state == "applying":
        return _make_whole(wish, UNFINISHED, "time" if is_as_applied(wish, record) else "git")
    rotates = record.holds != settle(wish.digests.generation)
    found = (
        _why_secrets(wish, record, observed),
        Why("policies", "git", "policies") if record.policies != wish.digests.policies else None,
        _why_live(wish, record, observed),
        _why_job(wish, record, job),
        Why("links", "git", "new secrets of its links") if rotates else None,
    )
    whys = tuple(why for why in found if why)
    if not whys:
        return None
    is_drift = record.job == wish.digests.job
    return make_change(wish, whys, is_drift)


def make_change(wish: Wish, whys: tuple[Why, ...], is_drift: bool, is_partial: bool = False) -> Change:
    """The change that writes the parts that whys name."""
    parts = {why.part for why in whys}
    reasons = tuple(dict.fromkeys(why.reason for why in whys))
    # A new version of the secrets is named in the live value, so that the job's templates read it at once.
    live = bool(parts & {"live", "secrets"})
    flags = ("secrets" in parts, "policies" in parts, live, "job" in parts)
    return Change(wish, *flags, reasons, is_drift, "links" in parts, whys, is_partial)


def is_as_applied(wish: Wish, record: Record) -> bool:
    """Whether Git wishes nothing but what was applied, or begun, last."""
    wished = wish.digests
    applied = (record.job, record.live, record.secrets, record.policies, record.box)
    return applied == (wished.job, wished.live, wished.secrets, wished.policies, wished.box)


def is_renewable(wish: Wish, record: Record) -> bool:
    """Whether a certificate can be renewed although the wished job is refused: what it is written with is in force."""
    return record.state == "applied" and (record.live, record.secrets, record.box) == (
        wish.digests.live,
        wish.digests.secrets,
        wish.digests.box,
    )


def _make_whole(wish: Wish, reason: str, cause: Cause) -> Change:
    """All parts; the job's task may have been changed by whoever had begun with it."""
    parts: tuple[Part, ...] = ("secrets", "policies", "live")
    whys = [Why(part, cause, reason) for part in parts]
    return make_change(wish, (*whys, Why("job", "drift" if cause == "time" else cause, reason)), False)


def _why_secrets(wish: Wish, record: Record, observed: Observed) -> Why | None:
    if record.secrets != wish.digests.secrets:
        return Why("secrets", "git", "secrets")
    reason = why_due(wish, record, observed)
    return Why("secrets", "time", reason) if reason else None


def why_due(wish: Wish, record: Record, observed: Observed) -> str:
    """Why its documents are to be written anew although nothing else is wished; "" where they are not."""
    if is_due(record, observed.now):
        return "certificate is due"
    said = record.edition, record.signed_by
    return authority.why_due(observed.authority, *said, wish.names.key, observed.now)


def is_due(record: Record, now: datetime) -> bool:
    """Whether its overlay certificate is to be renewed."""
    return bool(record.renew_at) and now >= datetime.fromisoformat(record.renew_at)


def _why_live(wish: Wish, record: Record, observed: Observed) -> Why | None:
    if record.live != wish.digests.live:
        return Why("live", "git", "dial plan or peers")
    if record.box != wish.digests.box:
        return Why("live", "git", "its box's files")
    drift = _find_value_drift(wish.names, record, observed)
    return Why("live", "drift", drift[0]) if drift else None


def _why_job(wish: Wish, record: Record, job: LiveJob | None) -> Why | None:
    if (job is None or job.stopped) and record.stopped_at:
        return Why("job", "git", "wished again: its job was stopped when no manifest named it")
    if job and not job.stopped and record.job != wish.digests.job:
        return Why("job", "git", "job")
    drift = _find_job_drift(record, job)
    return Why("job", "drift", drift[0]) if drift else None


def find_drift(names: UnitNames, record: Record, observed: Observed) -> list[str]:
    """What somebody else did to a unit that was applied and not stopped by us; its wish is not asked for."""
    if record.state != "applied" or record.stopped_at:
        return []
    job = observed.jobs.get(names.job_id)
    return [*_find_value_drift(names, record, observed), *_find_job_drift(record, job)]


def _find_value_drift(names: UnitNames, record: Record, observed: Observed) -> list[str]:
    written = [("its value", names.kv_key, record.value)]
    if record.box:
        written.append(("its box's value", names.box_kv_key, record.box_value))
    gone = [f"drift: {what} in Consul is gone" for what, key, _ in written if key not in observed.live_keys]
    if gone:
        return gone
    if observed.values is None:
        is_changed = observed.fleet is not None and names.key in observed.fleet.drifted
        return ["drift: its value in Consul was changed"] if is_changed else []
    values = observed.values
    return [
        f"drift: {what} in Consul was changed" for what, key, value in written if values.get(key) != value
    ]


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
