"""The small worlds of `removing` and `replacing`, in which units are suspended, or wait for their windows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from ritilib.gitops.desired import Desired
from ritilib.render.rules import SyncRules, Windows
from ritilib.sync.pausing import resume, suspend
from tests.unit import removing

# the worlds begin on Monday, 23 November 2026, at midnight UTC; Abidjan has the same time
TUESDAYS = Windows.model_validate(
    {"timezone": "Africa/Abidjan", "stretches": [{"days": "tue", "from": "02:00", "to": "04:00"}]}
)
OPENING = removing.START + timedelta(days=1, hours=2)


def hold(world: removing.World, scope: str, until: datetime | None = None) -> None:
    suspend(world.consul, "demo", scope, "calls drop", "ana@desk", world.now, until)


def lift(world: removing.World, scope: str) -> None:
    assert resume(world.consul, "demo", scope, "ana@desk", world.now).lifted


def ask(desired: Desired, keys: Collection[str], rules: SyncRules) -> Desired:
    """The commit, saying this of these units."""
    units = tuple(replace(unit, sync=rules) if unit.key in keys else unit for unit in desired.units)
    return replace(desired, units=units)
