"""What the servers show, in three requests however many boxes there are (rule 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.reconcile.authority import Standing, read_standing
from ritilib.reconcile.state import (
    FleetRecord,
    LiveJob,
    Observed,
    Record,
    hash_text,
    read_fleet_record,
    read_record,
)
from ritilib.reconcile.suspensions import Suspension, read_suspension


@dataclass(frozen=True)
class Places:
    """Where one fleet's things are in Nomad and Consul."""

    fleet: str

    @property
    def jobs(self) -> str:
        return f"{self.fleet}--"

    @property
    def live(self) -> str:
        """The values of PBXes and boxes, which nobody but the controller writes: one index for all of them."""
        return f"riti/{self.fleet}/pbx/"

    @property
    def inventory(self) -> str:
        return f"riti/{self.fleet}/inventory/"

    @property
    def generations(self) -> str:
        """Which instance of each PBX is reached: its instances write it, and the controller where it was lost."""
        return f"riti/{self.fleet}/generation/"

    @property
    def images(self) -> str:
        """Which image each box is to run, and what came of it."""
        return f"riti/{self.fleet}/image/"

    @property
    def boxes(self) -> str:
        """What boxes say of themselves."""
        return f"riti/{self.fleet}/box/"

    @property
    def enrollment(self) -> str:
        """What boxes ask, what is answered, who is bound, and by which claim: one index for all of it."""
        return f"riti/{self.fleet}/enroll"

    @property
    def fleet_record(self) -> str:
        return f"riti/{self.fleet}/inventory/_fleet"

    @property
    def authority(self) -> str:
        """How far the overlay's authorities are; below the inventory, so that the one read of a cycle shows it."""
        return f"riti/{self.fleet}/inventory/_authority"

    @property
    def suspended(self) -> str:
        """Below the inventory, so that the one read of a cycle shows it."""
        return f"riti/{self.fleet}/inventory/_suspended/"

    @property
    def accepted(self) -> str:
        return f"riti/{self.fleet}/accepted"

    @property
    def wake(self) -> str:
        """By which one instance tells the leader that the branch has moved."""
        return f"riti/{self.fleet}/wake"

    @property
    def status(self) -> str:
        return f"riti/{self.fleet}/status"

    @property
    def history(self) -> str:
        return f"riti/{self.fleet}/history"

    def record(self, key: str) -> str:
        return f"{self.inventory}{key}"


@dataclass(frozen=True)
class Seen:
    """What was observed, and the indexes by which each inventory entry may be written again (0: not there).

    inventory_index is Consul's of the whole inventory: the floor of the next look. authority_index as fleet_index, of
    the overlay's authorities.
    """

    observed: Observed
    record_indexes: dict[str, int]
    fleet_index: int
    inventory_index: int
    authority_index: int = 0


def observe(fleet: str, nomad: NomadClient, consul: ConsulClient, now: datetime, floor: int = 0) -> Seen:
    """One job list, one read of the inventory, one list of keys; the values only where the keys' index has moved.

    floor is the index of the inventory that the cycle before has seen (0: not known): a lower one, or one of the live
    keys below the recorded one, is an older state. (A deletion that Consul forgets after 15 minutes lowers an index
    too, see list_keys; to take it for a restore costs a grace period, and no more.)

    Raises Unreachable, Denied or ServerError: a read that failed is never taken for an empty answer (rule 5).
    """
    places = Places(fleet)
    jobs = {
        job.id: LiveJob(job.modify_index, job.stop, job.meta, job.allocations)
        for job in nomad.list_jobs(places.jobs).jobs
    }
    fleet_records: list[tuple[FleetRecord, int]] = []
    records: dict[str, Record] = {}
    indexes: dict[str, int] = {}
    suspensions: list[Suspension] = []
    standings: list[tuple[Standing, int]] = []

    def take(entry: Entry) -> None:
        if entry.key == places.fleet_record:
            fleet_records.append((read_fleet_record(entry.key, entry.value), entry.modify_index))
            return
        if entry.key == places.authority:
            standings.append((read_standing(entry.key, entry.value), entry.modify_index))
            return
        if entry.key.startswith(places.suspended):
            suspensions.append(_read_suspension(places, entry))
            return
        key = entry.key.removeprefix(places.inventory)
        records[key], indexes[key] = read_record(entry.key, entry.value), entry.modify_index

    inventory_index, _ = consul.fold_tree(places.inventory, take)
    fleet_record, fleet_index = fleet_records[0] if fleet_records else (None, 0)
    keys = consul.list_keys(places.live)
    values: dict[str, str] | None = None
    if fleet_record is None or fleet_record.live_index != keys.index:
        _, values = consul.fold_tree(places.live, lambda entry: hash_text(entry.value))
    doubts = () if fleet_record else ("the inventory is new or was lost, and is made again first",)
    rewound = inventory_index < floor or bool(fleet_record and keys.index < fleet_record.live_index)
    observed = Observed(
        jobs,
        records,
        fleet_record,
        keys.index,
        frozenset(keys.keys),
        values,
        now,
        doubts,
        rewound,
        tuple(suspensions),
        standings[0][0] if standings else None,
    )
    return Seen(observed, indexes, fleet_index, inventory_index, standings[0][1] if standings else 0)


def read_suspensions(fleet: str, consul: ConsulClient) -> tuple[Suspension, ...]:
    """What is suspended by now, in one small request; raises as observe does."""
    places = Places(fleet)
    return tuple(_read_suspension(places, entry) for entry in consul.read_tree(places.suspended).entries)


def _read_suspension(places: Places, entry: Entry) -> Suspension:
    return read_suspension(entry.key, entry.key.removeprefix(places.suspended), entry.value)
