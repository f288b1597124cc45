"""Carries out what reconcile.prune decided: each unit looked at again just before, and anything wrong ends it all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ritilib.errors import Conflict, Problem, RitiError, Unreachable
from ritilib.gitops.desired import Desired
from ritilib.reconcile.plan import is_ours, refuse_foreign
from ritilib.reconcile.prune import Census, Note, Purge, Removals, Stop, Waiting, decide_removals
from ritilib.reconcile.state import LiveJob
from ritilib.render.manifest import FLEET_FOLDER
from ritilib.render.names import UnitNames
from ritilib.sync.observe import Places, Seen, read_suspensions
from ritilib.sync.unit.apply import JWT_MOUNT, Servers, describe_owner
from ritilib.sync.unit.door import CLOSING_S, close_door, count_calls
from ritilib.sync.unit.word import Speaker

# The newest commit's desired state, given the newest one known so far: that one itself while no newer commit came.
Newest = Callable[[Desired], Desired]


@dataclass(frozen=True)
class Pruned:
    """Units that were stopped and purged, those that wait for their calls to end, and what went wrong."""

    stopped: tuple[str, ...] = ()
    purged: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    waits: tuple[Waiting, ...] = ()


def take_census(desired: Desired) -> Census:
    """What a commit says of the fleet's units, as decide_removals needs it."""
    stale = frozenset("lighthouse" if company == FLEET_FOLDER else company for company, _ in desired.held)
    doubts = ("the fleet's own manifest is stale",) if "lighthouse" in stale else ()
    return Census(
        desired.fleet,
        desired.fleet_id,
        desired.commit,
        frozenset(unit.key for unit in desired.units if not unit.enrollment.revoked),
        stale,
        frozenset(desired.removals),
        timedelta(minutes=desired.removal_grace_min),
        doubts,
        desired.sync,
        frozenset(unit.key for unit in desired.units if unit.enrollment.revoked),
    )


def write_notes(
    notes: Iterable[Note], seen: Seen, fleet: str, servers: Servers
) -> tuple[Seen, list[Problem]]:
    """Write inventory entries by compare-and-set: what is seen then, and a problem for each that was not written."""
    places = Places(fleet)
    records, indexes = dict(seen.observed.records), dict(seen.record_indexes)
    problems: list[Problem] = []
    for note in notes:
        try:
            index = indexes.get(note.key, 0)
            indexes[note.key] = servers.consul.write(places.record(note.key), note.record.to_bytes(), index)
            records[note.key] = note.record
        except RitiError as error:
            problems += [replace(one, what=f"{note.key}: {one.what}") for one in error.problems]
            if isinstance(error, Unreachable):
                break  # the others would fail alike
    observed = replace(seen.observed, records=records)
    return replace(seen, observed=observed, record_indexes=indexes), problems


def prune(
    removals: Removals,
    desired: Desired,
    seen: Seen,
    newest: Newest,
    servers: Servers,
    clock: Callable[[], datetime],
    report: Callable[[str], None],
) -> Pruned:
    """Mark, stop and purge, in this order; the first thing that goes wrong is the last that is tried.

    seen is what removals were decided on. Where the newest commit is another by now, only what is decided of it too is
    done.
    """
    seen, found = write_notes(removals.marks, seen, desired.fleet, servers)
    if found:
        return Pruned(problems=tuple(found))
    pruner = _Pruner(desired, seen, newest, servers, clock, desired, removals)
    stopped: list[str] = []
    purged: list[str] = []
    waits: list[Waiting] = []
    doing = ""
    try:
        if removals.purges:
            servers.vault.renew_token()
        for stop in removals.stops:
            doing = stop.key
            if pruner.is_still(stop):
                if why := pruner.await_calls(stop):
                    waits.append(Waiting(stop.key, None, why))
                    continue
                why = f"in no manifest since {stop.record.absent_since}"
                if stop.key in removals.revoked:
                    why = "its box is revoked"
                report(f"{stop.key}: {why}, is stopped")
                pruner.stop(stop)
                stopped.append(stop.key)
        for purge in removals.purges:
            doing = purge.key
            if pruner.is_still(purge):
                report(f"{purge.key}: stopped since {purge.record.stopped_at}, is removed")
                pruner.purge(purge)
                purged.append(purge.key)
    except RitiError as error:
        found = [replace(one, what=f"{doing} is not removed: {one.what}") for one in error.problems]
    return Pruned(tuple(stopped), tuple(purged), tuple(found), tuple(waits))


@dataclass
class _Pruner:
    """known and agreed: the newest commit looked at so far, and what is decided of it."""

    desired: Desired
    seen: Seen
    newest: Newest
    servers: Servers
    clock: Callable[[], datetime]
    known: Desired
    agreed: Removals

    def is_still(self, decision: Stop | Purge) -> bool:
        """Whether the newest commit, and what is suspended by now, come to the same decision."""
        newest = self.newest(self.known)
        suspensions = read_suspensions(self.desired.fleet, self.servers.consul)
        observed = self.seen.observed
        if newest.commit != self.known.commit or suspensions != observed.suspensions:
            self.known, observed = newest, replace(observed, suspensions=suspensions)
            self.seen = replace(self.seen, observed=observed)
            self.agreed = decide_removals(take_census(newest), observed)
        return decision in (self.agreed.stops if isinstance(decision, Stop) else self.agreed.purges)

    def await_calls(self, stop: Stop) -> str:
        """Why it may not be stopped yet; "" where it takes no new call, and has none (rule 9)."""
        names, _ = self._name(stop.key)
        if names.is_lighthouse or stop.job is None or stop.job.stopped:
            return ""
        nomad, consul = self.servers.nomad, self.servers.consul
        speaker = Speaker(nomad, names.job_id)
        if why := count_calls(speaker):
            return why
        return close_door(names, consul.read(names.kv_key), consul, speaker, CLOSING_S).why

    def stop(self, stop: Stop) -> None:
        """Intent (the time, which counts for the limit from then on) → job → inventory."""
        names, entry = self._name(stop.key)
        index = self.seen.record_indexes[stop.key]
        job = self._look_again(names, stop.job)
        now = self.clock().isoformat()
        record = replace(stop.record, stopped_at=stop.record.stopped_at or now)
        if job and not job["Stop"]:
            record = replace(record, stopped_at=now)
            index = self.servers.consul.write(entry, record.to_bytes(), index)
            registered = self.servers.nomad.stop_job(names.job_id, job["JobModifyIndex"])
            record = replace(record, job_modify_index=registered.modify_index)
        elif job:
            record = replace(record, job_modify_index=job["JobModifyIndex"])
        self.servers.consul.write(entry, record.to_bytes(), index)

    def purge(self, purge: Purge) -> None:
        """Intent → job → values → roles and policies → documents → inventory; each step again without harm.

        The entry goes last, so that a purge that was ended in between is found and ended by the next sync; from the
        intent on it is one of a unit that is not finished, so that a unit that comes back is made whole.
        """
        names, entry = self._name(purge.key)
        consul, vault = self.servers.consul, self.servers.vault
        job = self._look_again(names, purge.job)
        intent = replace(purge.record, state="applying")
        index = consul.write(entry, intent.to_bytes(), self.seen.record_indexes[purge.key])
        if job:
            self.servers.nomad.purge_job(names.job_id, purge.record.job_modify_index)
        places = Places(names.fleet)
        keys = [] if names.is_lighthouse else [names.generation, names.box_image]
        for folder in (places.live, places.boxes):
            # every format of the value; the slash at the end keeps a name that begins alike
            keys += consul.list_keys(f"{folder}{purge.key}/").keys
        for key in keys:
            held = consul.read(key)
            if held:
                consul.delete(key, held.modify_index)
        owner = describe_owner(self.desired.fleet_id, purge.key)
        consul.delete_role(names.role, owner)
        consul.delete_policy(names.role, owner)
        vault.delete_role(JWT_MOUNT, names.role)
        vault.delete_policy(names.role)
        vault.delete_document(names.document)
        if not names.is_lighthouse:
            vault.delete_document(names.box_document)
        consul.delete(entry, index)

    def _name(self, key: str) -> tuple[UnitNames, str]:
        return UnitNames(self.desired.fleet, *key.split("/")), Places(self.desired.fleet).record(key)

    def _look_again(self, names: UnitNames, observed: LiveJob | None) -> dict[str, Any] | None:
        """The job as it is now. Conflict where it is not what was decided on, or not ours."""
        job = self.servers.nomad.read_job(names.job_id)
        if job is None:
            return None
        now = LiveJob(job["JobModifyIndex"], bool(job["Stop"]), job.get("Meta") or {})
        if not is_ours(now, self.desired.fleet_id, names.key):
            raise Conflict([refuse_foreign(names)])
        if observed is None or (now.modify_index, now.stopped) != (observed.modify_index, observed.stopped):
            what = f"job {names.job_id} has changed since it was looked at"
            raise Conflict.because(what, "sync again: that decides anew")
        return job
