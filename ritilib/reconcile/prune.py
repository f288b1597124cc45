"""What becomes of units that no manifest names: marked, waiting, held, stopped, purged. A pure function of values.

The five locks of rule 6, each of which alone holds: absent from the manifest, our whole mark on the job, under the
limit or approved in Git, the grace period passed, and looked at again just before (which is for sync.prune). A sixth
stands before them: what is in doubt deletes nothing (rule 5).

A grace period is begun anew where its beginning cannot be relied on: the unit came back, its company's manifest was
stale, its job was changed by hand and runs, the clock went back behind it, or Consul shows an older state. An
inventory that was lost knows no beginnings: the sync that makes it again deletes nothing, and what no manifest names is
found by the marks of the jobs, and waits from then on.

What is suspended is neither marked, stopped nor purged, and its grace period begins when it is suspended no more. What
has windows is stopped and purged inside of them.

A clock that jumps ahead ends a grace period early; the other locks stand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ritilib.errors import Problem
from ritilib.fleet.kinds import SLUG_PATTERN
from ritilib.reconcile.pauses import Rules, find_rules
from ritilib.reconcile.plan import is_ours, refuse_foreign
from ritilib.reconcile.state import LiveJob, Observed, Record
from ritilib.reconcile.suspensions import find_suspension
from ritilib.reconcile.windows import find_next, is_inside
from ritilib.render.names import UnitNames, name_job

LEAST_LIMIT, FLEET_SHARE = 1, 10  # DESIGN, rule 6: the larger of 1 and 10 % (a tenth) of the fleet
REMOVALS_HELD = "removals-held"  # the problem's rule
PURGE_AFTER = timedelta(days=7)  # a week: who misses a stopped office says so on the next working day
_KEY = re.compile(SLUG_PATTERN[:-1] + "/" + SLUG_PATTERN[1:])
_REWOUND = "Consul shows an older state than before, as after a restore: every grace period begins anew"
_CHILD = re.compile(r"/(periodic|dispatch)-")  # Nomad makes them of a job and gives them its meta


@dataclass(frozen=True)
class Census:
    """Which units one commit wants, and what it says of removals.

    stale: companies ("lighthouse" for the lighthouses) of which the commit says nothing that counts. approved:
    companies and units that may go although they are over the limit. doubts: why nothing may be deleted because of it.
    rules: what is left alone of a company, and of the fleet (""). revoked: units whose boxes are locked out, so that
    they go as if no manifest named them, but at once: neither limit, grace period nor window holds them up.
    """

    fleet: str
    fleet_id: str
    commit: str
    keys: frozenset[str]
    stale: frozenset[str]
    approved: frozenset[str]
    grace: timedelta
    doubts: tuple[str, ...] = ()
    rules: Rules = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Note:
    """An inventory entry to be written: a mark that is made, begun anew, or taken away."""

    key: str
    record: Record


@dataclass(frozen=True)
class Waiting:
    """A unit that no manifest names and that is left as it is until a time (None: until the doubt is gone)."""

    key: str
    until: datetime | None
    why: str


@dataclass(frozen=True)
class Stop:
    """A unit to be stopped; job as it was observed, and must still be (None: it has none)."""

    key: str
    record: Record
    job: LiveJob | None


@dataclass(frozen=True)
class Purge:
    """A unit that has been stopped long enough: all that is its own goes, its inventory entry the last."""

    key: str
    record: Record
    job: LiveJob | None


@dataclass(frozen=True)
class Removals:
    """What becomes of the units that no manifest names.

    resets take marks away or begin them anew, which deletes nothing and is always safe; marks begin grace periods.
    held: over the limit, with the mend. suspended: units that are left as they are and unmarked, so that their grace
    period begins when they are suspended no more. revoked: as in Census.
    """

    resets: tuple[Note, ...]
    marks: tuple[Note, ...]
    waits: tuple[Waiting, ...]
    held: tuple[Problem, ...]
    stops: tuple[Stop, ...]
    purges: tuple[Purge, ...]
    conflicts: tuple[Problem, ...]
    suspended: tuple[str, ...] = ()
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Absent:
    """One unit that no manifest names, whose grace period runs or has passed."""

    key: str
    record: Record
    job: LiveJob | None
    due: datetime


def decide_removals(census: Census, observed: Observed) -> Removals:
    """Compare what exists with what the commit names; every tuple is sorted by key.

    The limit counts what would be stopped without approval together with all that was stopped within the last grace
    period, so that many small merges are no way around it.
    """
    now = observed.now
    resets = [Note(key, record) for key, record in _list_resets(census, observed)]
    absent, conflicts = _find_absent(census, observed)
    left = {key for key in absent if _is_suspended(key, census, observed)}
    candidates = [key for key in absent if key not in left]
    doubts = (*census.doubts, *observed.doubts, *((_REWOUND,) if observed.rewound else ()))
    if doubts:
        waits = tuple(
            Waiting(key, None, f"nothing is deleted now: {doubts[0]}")
            for key in candidates
            if not _is_finished(observed.records.get(key), observed.jobs.get(name_job(census.fleet, key)))
        )
        return Removals(tuple(resets), (), waits, (), (), (), conflicts, tuple(sorted(left)), census.revoked)
    marks: list[Note] = []
    purges: list[Purge] = []
    stops: list[Stop] = []
    pending: list[_Absent] = []
    recent: list[datetime] = []
    suspended: list[str] = []
    for key in absent:
        record, job = observed.records.get(key), observed.jobs.get(name_job(census.fleet, key))
        since = _read_time(record.absent_since) if record else None
        stopped = _read_time(record.stopped_at) if record else None
        is_restless = record is not None and _is_restless(record, job, now)
        is_finished = stopped is not None and (job is None or job.stopped)
        # an intent whose end is not known is still to be stopped, and counts among those
        grace = timedelta() if key in census.revoked else census.grace
        if stopped and now - stopped < grace and (is_finished or is_restless):
            recent.append(min(stopped, now))
        if key in left:
            if stopped is None or not is_finished or now - stopped >= PURGE_AFTER:
                suspended.append(key)
        elif record is None or since is None or is_restless:
            begun = _begin(record or Record("applying", census.commit), job, now)
            (marks if record is None or since is None else resets).append(Note(key, begun))
            if not is_finished:
                pending.append(_Absent(key, begun, job, now + grace))
        elif stopped is None or not is_finished:
            pending.append(_Absent(key, record, job, since + grace))
        elif job and job.modify_index != record.job_modify_index:
            stops.append(Stop(key, record, job))  # it is stopped, and that it was is not written down yet
        elif now - stopped >= PURGE_AFTER:
            purges.append(Purge(key, record, job))
    limit, size = count_limit(observed, census.grace)
    approved = census.approved | census.revoked
    over = [one for one in pending if not _is_approved(one.key, approved)]
    is_over = len(over) > limit
    free = [one for one in pending if not is_over or _is_approved(one.key, approved)]
    waits_of, stops_of = _judge_due(free, recent, limit, census, now)
    stops += stops_of
    closed = _find_closed([*(one.key for one in stops), *(one.key for one in purges)], census, now)
    waits_of += [closed[key] for key in sorted(closed)]
    stops = [one for one in stops if one.key not in closed]
    purges = [one for one in purges if one.key not in closed]
    return Removals(
        tuple(sorted(resets, key=lambda one: one.key)),
        tuple(marks),
        tuple(waits_of),
        (_say_held([one.key for one in over], limit, size, census),) if is_over else (),
        tuple(sorted(stops, key=lambda one: one.key)),
        tuple(purges),
        conflicts,
        tuple(suspended),
        census.revoked,
    )


def wait_for_company(removals: Removals, waiting: Collection[str]) -> Removals:
    """The removals without those in companies of which units wait: what is to take their place may not run yet."""
    companies = {key.split("/")[0] for key in waiting}
    stops = tuple(
        one for one in removals.stops if one.key.split("/")[0] not in companies or one.key in removals.revoked
    )
    purges = tuple(one for one in removals.purges if one.key.split("/")[0] not in companies)
    kept = {one.key for one in stops} | {one.key for one in purges}
    why = "changes of its company wait, and what takes its place may be among them"
    going = [one.key for one in removals.stops] + [one.key for one in removals.purges]
    waits = [Waiting(key, None, why) for key in going if key not in kept]
    return replace(removals, stops=stops, purges=purges, waits=(*removals.waits, *waits))


def keep_revoked(removals: Removals) -> Removals:
    """Of the removals those that wait for nothing else to be as wished."""
    stops = tuple(one for one in removals.stops if one.key in removals.revoked)
    marks = tuple(one for one in removals.marks if one.key in removals.revoked)
    return replace(removals, marks=marks, stops=stops, purges=())


def count_limit(observed: Observed, grace: timedelta) -> tuple[int, int]:
    """How many units may go within one grace period, and the size of the fleet that this is a share of.

    The fleet is what the inventory knows and was not stopped before this grace period: a commit cannot raise it.
    """
    size = 0
    for record in observed.records.values():
        stopped = _read_time(record.stopped_at) if record.stopped_at else None
        if stopped is None or observed.now - stopped < grace:
            size += 1
    return max(LEAST_LIMIT, size // FLEET_SHARE), size


def _judge_due(
    free: list[_Absent], recent: list[datetime], limit: int, census: Census, now: datetime
) -> tuple[list[Waiting], list[Stop]]:
    """Of what is not held, what waits and what is to be stopped; recent: when others were."""
    waits: list[Waiting] = []
    stops: list[Stop] = []
    taken = sorted(recent)
    for one in free:
        is_revoked = one.key in census.revoked
        approved = is_revoked or _is_approved(one.key, census.approved)
        if now < one.due:
            waits.append(Waiting(one.key, one.due, "no manifest names it"))
        elif not approved and len(taken) >= limit:
            until = taken[len(taken) - limit] + census.grace
            waits.append(Waiting(one.key, until, f"{len(taken)} went within the last grace period"))
        else:
            stops.append(Stop(one.key, one.record, one.job))
            if not is_revoked:
                taken.append(now)
    return waits, stops


def _list_resets(census: Census, observed: Observed) -> Iterator[tuple[str, Record]]:
    """Marks of units that are wished or not known to be absent; all of them where Consul shows an older state."""
    for key, record in sorted(observed.records.items()):
        if not (record.absent_since or record.stopped_at):
            continue
        if key in census.keys:
            yield key, replace(record, absent_since="", stopped_at="")
        elif key.split("/")[0] in census.stale or _is_suspended(key, census, observed):
            if record.absent_since and not record.stopped_at:
                yield key, replace(record, absent_since="")
        elif observed.rewound and _KEY.fullmatch(key):
            yield key, _begin(record, observed.jobs.get(name_job(census.fleet, key)), observed.now)


def _is_suspended(key: str, census: Census, observed: Observed) -> bool:
    """Whether nothing of a unit that no manifest names may be written."""
    by_git = find_rules(key, census.rules).suspended
    return bool(by_git or find_suspension(key, observed.suspensions, observed.now))


def _find_closed(keys: Iterable[str], census: Census, now: datetime) -> dict[str, Waiting]:
    """Of these units those that wait for a window, since what takes them away is a change of Git."""
    found: dict[str, Waiting] = {}
    for key in keys:
        windows = find_rules(key, census.rules).windows
        if key in census.revoked:
            continue
        if windows and not is_inside(windows, now):
            found[key] = Waiting(key, find_next(windows, now), "it waits for a window of `sync.windows`")
    return found


def _find_absent(census: Census, observed: Observed) -> tuple[list[str], tuple[Problem, ...]]:
    """The keys of units of ours that no manifest names, and what looks like one and is not."""
    conflicts: list[Problem] = []
    found = observed.records.keys() - census.keys
    known = {name_job(census.fleet, key) for key in found | census.keys}
    for job_id in sorted(observed.jobs.keys() - known):
        job = observed.jobs[job_id]
        if job.stopped or job.meta.get("riti.fleet") != census.fleet_id or _CHILD.search(job_id):
            continue
        key = job.meta.get("riti.box", "")
        if _KEY.fullmatch(key) and job_id == name_job(census.fleet, key):
            found.add(key)
        else:
            conflicts.append(_refuse_mark(job_id, key))
    absent: list[str] = []
    for key in sorted(found):
        if not _KEY.fullmatch(key):
            conflicts.append(_refuse_entry(key))
        elif key.split("/")[0] not in census.stale:
            held = observed.jobs.get(name_job(census.fleet, key))
            if held and not is_ours(held, census.fleet_id, key):
                conflicts.append(refuse_foreign(UnitNames(census.fleet, *key.split("/"))))
            else:
                absent.append(key)
    return absent, tuple(conflicts)


def _is_restless(record: Record, job: LiveJob | None, now: datetime) -> bool:
    """Whether what was marked cannot be relied on: a time that is yet to come, or a job that a hand has changed."""
    times = [_read_time(record.absent_since), _read_time(record.stopped_at)]
    if any(time is not None and time > now for time in times):
        return True
    return job is not None and not job.stopped and job.modify_index != record.job_modify_index


def _begin(record: Record, job: LiveJob | None, now: datetime) -> Record:
    """The record with its grace period begun now. A job that was changed is remembered as nobody's wish."""
    time = now.isoformat()
    running = job is not None and not job.stopped
    begun = replace(record, absent_since=time, stopped_at=time if record.stopped_at and not running else "")
    if job is not None and running and job.modify_index != record.job_modify_index:
        begun = replace(begun, job="", job_modify_index=job.modify_index)
    return begun


def _is_finished(record: Record | None, job: LiveJob | None) -> bool:
    return bool(record and record.stopped_at) and (job is None or job.stopped)


def _is_approved(key: str, approved: Collection[str]) -> bool:
    return key in approved or key.split("/")[0] in approved


def _read_time(text: str) -> datetime | None:
    """The time, None where it is none that RITI wrote."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _say_held(keys: list[str], limit: int, size: int, census: Census) -> Problem:
    living = {key.split("/")[0] for key in census.keys} | census.stale | {"lighthouse"}
    removals = dict.fromkeys(key if key.split("/")[0] in living else key.split("/")[0] for key in keys)
    what = (
        f"{len(keys)} units of {size} are in no manifest any more, and at most {limit} may go at a time: all are held: "
        f"{', '.join(keys)}"
    )
    approval = f"`removals: [{', '.join(removals)}]`"
    mend = f"bring them back, or approve it in fleet/fleet.yaml with {approval}, render and merge"
    return Problem("", 0, 0, what, mend, REMOVALS_HELD)


def _refuse_mark(job_id: str, key: str) -> Problem:
    what = f"job {job_id} carries this fleet's mark for `{key}`, and is not its job"
    return Problem("", 0, 0, what, "see who made it; RITI changes nothing that is not its own")


def _refuse_entry(key: str) -> Problem:
    what = f"the inventory's entry {key} is of no unit"
    return Problem("", 0, 0, what, "see who wrote it, and remove it")
