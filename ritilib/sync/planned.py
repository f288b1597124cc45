"""What a sync would do: the merged commit beside what the servers show."""

from __future__ import annotations

from datetime import UTC, datetime

from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import GitopsError, Problem
from ritilib.gitops.desired import Desired
from ritilib.reconcile.pauses import hold_paused
from ritilib.reconcile.plan import Plan, make_plan
from ritilib.reconcile.prune import Removals, decide_removals
from ritilib.reconcile.state import NEEDED_FILES, Wish
from ritilib.render.names import UnitNames
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
    plan = make_plan(list_wishes(desired), desired.fleet_id, seen.observed)
    plan = hold_paused(plan, desired.sync, seen.observed, desired.commit, removals.suspended)
    return plan, removals, seen
