"""What a sync would do: the merged commit beside what the servers show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import GitopsError, Problem
from ritilib.gitops.desired import Desired
from ritilib.reconcile.pauses import hold_paused
from ritilib.reconcile.plan import Plan, make_plan
from ritilib.reconcile.prune import Removals, decide_removals
from ritilib.reconcile.state import NEEDED_FILES, Observed, Wish
from ritilib.render.names import UnitNames, name_job
from ritilib.sync.enroll.found import read_bindings
from ritilib.sync.heap import pause_collector
from ritilib.sync.observe import Seen, observe
from ritilib.sync.prune import take_census


def list_wishes(desired: Desired) -> tuple[Wish, ...]:
    """The units that the merged commit wants, those of held companies left out.

    Raises GitopsError naming every file that a unit needs and its manifest does not list.
    """
    missing = [
        Problem(f"{unit.key}/{name}", 0, 0, "is in no manifest", "render again with this version of RITI")
        for unit in desired.units
        for name in NEEDED_FILES
        if name not in unit.files
    ]
    if missing:
        raise GitopsError(missing)
    return tuple(
        Wish(
            UnitNames(desired.fleet, *unit.key.split("/")),
            unit.files,
            unit.canary,
            unit.windows,
            unit.sync,
            unit.digests,
        )
        for unit in desired.units
    )


def find_awaiting(desired: Desired, observed: Observed, consul: ConsulClient) -> frozenset[str]:
    """Units of which nothing is made until their box is bound: what was made once is kept, whatever is bound.

    Consul is asked only where there are units of which nothing was made.
    """
    fresh = {
        unit.key
        for unit in desired.units
        if unit.awaits_box
        and unit.key not in observed.records
        and name_job(desired.fleet, unit.key) not in observed.jobs
    }
    if not fresh:
        return frozenset()
    bindings = read_bindings(consul, desired.fleet).bindings
    return frozenset(key for key in fresh if key not in bindings or bindings[key].state != "bound")


@pause_collector()
def plan_once(
    desired: Desired, nomad: NomadClient, consul: ConsulClient, now: datetime | None = None, floor: int = 0
) -> tuple[Plan, Removals, Seen]:
    """What a sync would do now (None: the time of this machine); floor as observe has it.

    Raises GitopsError where another repository owns this fleet's name.
    """
    seen = observe(desired.fleet, nomad, consul, now or datetime.now(UTC), floor)
    owner = seen.observed.fleet
    if owner and (owner.fleet_id, owner.root_commit) != (desired.fleet_id, desired.root_commit):
        what = f"fleet `{desired.fleet}` on these servers belongs to another repository (root {owner.root_commit[:12]})"
        raise GitopsError.because(what, "sync from that repository, or give this fleet another name")
    removals = decide_removals(take_census(desired), seen.observed)
    awaiting = find_awaiting(desired, seen.observed, consul)
    left = awaiting | {unit.key for unit in desired.units if unit.enrollment.revoked}
    wishes = [wish for wish in list_wishes(desired) if wish.names.key not in left]
    plan = replace(make_plan(wishes, desired.fleet_id, seen.observed), awaiting=tuple(sorted(awaiting)))
    plan = hold_paused(plan, desired.sync, seen.observed, desired.commit, removals.suspended)
    return plan, removals, seen
