"""What Consul has lost of PBXes' instances is put there again, as the instances' own files say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import Conflict, LeadershipLost, RitiError, Unreachable
from ritilib.reconcile.plan import Plan, is_ours
from ritilib.reconcile.state import Observed
from ritilib.reconcile.turns import Alive, Turns, list_unheld, mend_turns, read_taken, read_turns
from ritilib.render.names import UnitNames
from ritilib.sync.observe import Places
from ritilib.sync.troubles import Troubles

TAKEN_FILE = "alloc/data/taken"  # jobs/pbx/job.nomad.hcl.j2 has gate write it there


@dataclass(frozen=True)
class Healed:
    """units: whose key was written; is_whole: whether every PBX was looked at, and all that was to be written was."""

    units: frozenset[str] = frozenset()
    is_whole: bool = True


def may_be_lost(plan: Plan, observed: Observed) -> bool:
    """Whether what a cycle reads anyhow shows that Consul lost something, or is older than it was."""
    return not observed.is_complete or any(
        change.wish.names.kv_key not in observed.live_keys and change.key in observed.records
        for change in plan.changes
        if change.live
    )


def heal_turns(
    fleet: str,
    fleet_id: str,
    observed: Observed,
    nomad: NomadClient,
    consul: ConsulClient,
    go_on: Callable[[], bool],
    report: Callable[[str], None],
    troubles: Troubles,
) -> Healed:
    """Have each PBX's key say which of its instances is reached, where it does not name one that runs.

    Two requests for all PBXes together, and one for each instance that no key names. An instance that writes at the
    same moment is left to do so, and looked at once more. Suspended PBXes too: nothing of them is changed, but what is
    known of them. What goes wrong with one is added to troubles.
    """
    units = {
        job_id: UnitNames(fleet, *key.split("/"))
        for job_id, job in observed.jobs.items()
        if (key := job.meta.get("riti.box", "")).count("/") == 1 and is_ours(job, fleet_id, key)
    }
    units = {job_id: names for job_id, names in units.items() if not names.is_lighthouse}
    if not units:
        return Healed()
    places = Places(fleet)
    alive: dict[str, list[Alive]] = {}
    for one in nomad.list_alive(places.jobs):
        alive.setdefault(one.job_id, []).append(Alive(one.id, one.client_status, one.desired_status))
    entries = {entry.key: entry for entry in consul.read_tree(places.generations).entries}
    healed: set[str] = set()
    is_whole = True
    for job_id, names in units.items():
        instances, entry = alive.get(job_id, []), entries.get(names.generation)
        now = read_turns(entry.value if entry else None)
        unheld = list_unheld(now, instances)
        if not unheld:
            continue
        if not go_on():
            return Healed(frozenset(healed), is_whole=False)
        try:
            taken = _read_files(unheld, nomad)
            if wanted := mend_turns(now, instances, taken):
                _write(names, wanted, entry, consul)
                healed.add(names.key)
                report(
                    f"{names.key}: Consul knew nothing of its instance, which has generation {wanted.generation}"
                )
        except LeadershipLost:
            raise
        except Conflict:
            is_whole = False
        except RitiError as error:
            is_whole = False
            told = [replace(one, what=f"{names.key}: {one.what}") for one in error.problems]
            troubles.problems += told
            troubles.tell(names.key, *told)  # no failure of the unit: all else of it goes on
            if isinstance(error, Unreachable):
                break
    return Healed(frozenset(healed), is_whole)


def _read_files(allocations: tuple[str, ...], nomad: NomadClient) -> Mapping[str, int]:
    """Allocation → its generation, of those that have one."""
    found = {one: read_taken(nomad.read_alloc_file(one, TAKEN_FILE), one) for one in allocations}
    return {one: generation for one, generation in found.items() if generation is not None}


def _write(names: UnitNames, turns: Turns, entry: Entry | None, consul: ConsulClient) -> None:
    consul.write(names.generation, turns.to_bytes(), entry.modify_index if entry else 0)
