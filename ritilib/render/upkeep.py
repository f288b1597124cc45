"""How a box's PBX is replaced, as the manifest says it to the controller."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ritilib.fleet.kinds import TimeZone
from ritilib.fleet.model import Company, Fleet
from ritilib.fleet.stretch import Stretch


class Windows(BaseModel):
    """When a PBX that must be replaced, and is never without a call, may be: stretches of a week in a time zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    timezone: TimeZone
    stretches: Annotated[tuple[Stretch, ...], Field(min_length=1, strict=False)]


def list_upkeep(fleet: Fleet, company: Company) -> dict[str, dict[str, Any]]:
    """box → its `canary` and `windows` in the manifest; boxes of which nothing of it is said are left out."""
    found: dict[str, dict[str, Any]] = {}
    for box in company.boxes:
        if box.said.canary:
            found.setdefault(box.slug, {})["canary"] = True
        if stretches := box.settings.maintenance:
            said = [one.model_dump(by_alias=True) for one in stretches]
            windows = {"timezone": fleet.find_timezone(company), "stretches": said}
            found.setdefault(box.slug, {})["windows"] = windows
    return found
