"""One unit as whoever looks sees it: the inventory's entry, what runs, its own word, what the leader says of it."""

from __future__ import annotations

from dataclasses import dataclass

from ritilib.clients.nomad_values import Allocation, JobStub
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import GitopsError, Problem, ServerError
from ritilib.reconcile.state import Record, hash_text, read_live_files, read_record
from ritilib.reconcile.turns import Instance, describe_instances
from ritilib.render.names import UnitNames
from ritilib.sync.observe import Places
from ritilib.sync.seen.boxes import BoxLook, look_at_box
from ritilib.sync.seen.history import Entry, read_history
from ritilib.sync.seen.look import find_leader, warn
from ritilib.sync.seen.status import (
    DownUnit,
    FailingUnit,
    HealedUnit,
    HeldUnit,
    Status,
    WaitingUnit,
    WatchedUnit,
    read_status,
)
from ritilib.sync.unit.last_good import name_last_good
from ritilib.sync.unit.word import Word, read_word

READ_FS = "read-fs of the namespace `default`, for its watcher's word"
Told = HeldUnit | FailingUnit | DownUnit | WatchedUnit | WaitingUnit | HealedUnit


@dataclass(frozen=True)
class UnitLook:
    """record: its inventory entry. job: as Nomad's list shows it (None: there is none). is_job_known: whether that
    could be asked. allocation: the newest that is to run; instances: all that run or may run, where it is a PBX, and
    which of them is reached. has_value, is_value_recorded: whether its value in Consul is there, and is what was
    written. word: what its watcher says (None: nothing, or not known); acknowledges: whether what Consul holds is in
    force. is_box_recorded: whether its box's value in Consul is what was written. last_good: whether what ran before is
    kept, as until a new one is judged. told: what the leader's view says of it, where somebody leads whose view it is.
    history: the entries that name it. box: the box that it is for (None: a lighthouse has none).
    """

    unit: str
    names: UnitNames
    record: Record
    job: JobStub | None
    is_job_known: bool
    allocation: Allocation | None
    has_value: bool
    is_value_recorded: bool
    word: Word | None
    acknowledges: bool | None
    last_good: bool
    told: tuple[Told, ...]
    history: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    box: BoxLook | None = None
    is_box_recorded: bool = True
    instances: tuple[Instance, ...] = ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """What is not as the inventory has it, is still to come, or not known to be well; () where all is well."""
        record, lacks = (
            self.record,
            [
                f"it is left as it is: {one.why}"
                for one in self.told
                if isinstance(one, HeldUnit | WaitingUnit)
            ],
        )
        if record.state == "applying":
            lacks.append("a cycle has begun it, and has not come to its end")
        if self.is_job_known and not record.stopped_at:
            if self.job is None or self.job.stop:
                lacks.append("its job is not there" if self.job is None else "its job is stopped")
            elif self.job.modify_index != record.job_modify_index:
                lacks.append("its job was changed by somebody else")
        if not self.is_value_recorded and not record.stopped_at:
            lacks.append("its value in Consul is not what was written")
        if not self.is_box_recorded and not record.stopped_at:
            lacks.append("its box's value in Consul is not what was written")
        if record.replaced_at and not record.judged:
            lacks.append("it was replaced, and is not judged yet")
        if self.word:
            lacks += self.word.problems
        if self.box and self.box.grade != "well":
            lacks.append(f"its box: {self.box.why or self.box.state}")
        if self.acknowledges is False:
            lacks.append("it does not acknowledge what Consul holds")
        return tuple(lacks)

    @property
    def has_failed(self) -> bool:
        """Whether it fails, or could not be looked at."""
        broken = any(problem.severity == "error" for problem in self.problems)
        broken = broken or (self.box is not None and self.box.grade == "failed")
        return broken or any(isinstance(one, FailingUnit | DownUnit) for one in self.told)


def look_at_unit(fleet: str, key: str, nomad: NomadClient, consul: ConsulClient) -> UnitLook:
    """Everything that is known of one unit ("acme/salto"), in at most fourteen requests.

    Needs in Consul reading below riti/FLEET/, in Nomad list-jobs, read-job, and read-fs for the unit's own word: what
    Nomad does not tell is a warning in problems. Raises what Consul raises, and GitopsError for a unit that the
    inventory does not know.
    """
    places = Places(fleet)
    entry = consul.read(places.record(key))
    if entry is None or key.count("/") != 1:
        mend = "see `riti status` for those that wait; what was never applied is not there yet"
        raise GitopsError.because(f"the inventory of fleet `{fleet}` knows no unit {key}", mend)
    record, names = read_record(entry.key, entry.value), UnitNames(fleet, *key.split("/"))
    value = consul.read(names.kv_key)
    of_box = consul.read(names.box_kv_key) if record.box else None
    problems: list[Problem] = []
    job, is_job_known, allocation, word = None, False, None, None
    instances: tuple[Instance, ...] = ()
    try:
        found = nomad.list_jobs(names.job_id).jobs
        job, is_job_known = next((one for one in found if one.id == names.job_id), None), True
        allocations = nomad.list_allocations(names.job_id)
        runs = [one for one in allocations if one.desired_status == "run"]
        allocation = runs[-1] if runs else None
        if allocation and not names.is_lighthouse:
            word = read_word(nomad, names.job_id)
        if not names.is_lighthouse:
            turn = consul.read(names.generation)
            instances = describe_instances(
                [(one.id, one.client_status, one.desired_status) for one in allocations],
                turn.value if turn else None,
            )
    except ServerError as error:
        problems += warn(error, f"take a token with list-jobs, read-job, and {READ_FS}")
    acknowledges = word.has_in_force(_list_plans(value.value)) if word and value else None
    told, history, found_problems = _read_told(fleet, key, consul)
    return UnitLook(
        key,
        names,
        record,
        job,
        is_job_known,
        allocation,
        value is not None,
        value is not None and hash_text(value.value) == record.value,
        word,
        acknowledges,
        consul.read(name_last_good(names)) is not None,
        told,
        history,
        (*problems, *found_problems),
        None if names.is_lighthouse else look_at_box(names, consul),
        not record.box or (of_box is not None and hash_text(of_box.value) == record.box_value),
        instances,
    )


def find_told(said: Status, key: str) -> tuple[Told, ...]:
    """What a view says of one unit."""
    lists: tuple[tuple[Told, ...], ...] = (
        said.failing,
        said.down,
        said.held,
        said.watched,
        said.waiting,
        said.healed,
    )
    return tuple(one for listed in lists for one in listed if one.unit == key)


def _list_plans(value: bytes) -> dict[str, str]:
    """What a watcher acknowledges by its whole text, of a value that anybody may have written."""
    files = read_live_files(value)
    if files is None:
        return {"extensions.conf": ""}  # nothing of it can be in force
    return {name: str(text) for name, text in files.items() if name.endswith(".conf")}


def _read_told(
    fleet: str, key: str, consul: ConsulClient
) -> tuple[tuple[Told, ...], tuple[Entry, ...], list[Problem]]:
    places = Places(fleet)
    told: tuple[Told, ...] = ()
    history: tuple[Entry, ...] = ()
    problems: list[Problem] = []
    leads, status, kept = find_leader(fleet, consul), consul.read(places.status), consul.read(places.history)
    try:
        said = read_status(status.key, status.value) if status else None
        if said and leads and said.leader.epoch == leads.epoch:
            told = find_told(said, key)
        entries = read_history(kept.key, kept.value).entries if kept else ()
        history = tuple(one for one in entries if one.names(key))
    except GitopsError as error:
        problems += warn(error, "")
    return told, history, problems
