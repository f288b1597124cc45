"""How a box's PBX is made and replaced, what of it is left alone, and which hardware is let in: what the manifest says
to the controller."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ritilib.fleet.inherited import Settings
from ritilib.fleet.kinds import Reason, Serial, TimeZone
from ritilib.fleet.model import Box, Company, Fleet
from ritilib.fleet.settings import inherit_sync
from ritilib.fleet.stretch import Stretch


class Windows(BaseModel):
    """When a PBX that must be replaced, and is never without a call, may be: stretches of a week in a time zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    timezone: TimeZone
    stretches: Annotated[tuple[Stretch, ...], Field(min_length=1, strict=False)]


class SyncRules(BaseModel):
    """What the controller leaves alone, as ritilib.fleet.model.SyncSettings has it: why all is, whether what a hand
    changed is, and outside which windows changes of Git are (None: there are none)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    suspended: Reason | None = None
    self_heal: bool = True
    windows: Windows | None = None


class EnrollmentRules(BaseModel):
    """Which hardware is let in as this box: its serial number (None: nobody has said it), how many came before it and
    itself, and whether none is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    serial: Serial | None = None
    generation: Annotated[int, Field(ge=1)] = 1
    revoked: bool = False


def describe_sync(fleet: Fleet, company: Company | None, box: Box | None = None) -> dict[str, Any]:
    """SyncRules of the fleet (None: no company), of a company or of one box, as plain values, without its defaults."""
    levels: list[Settings] = [fleet.said, *([company.said] if company else []), *([box.said] if box else [])]
    held = inherit_sync(*levels)
    said: dict[str, Any] = {}
    if held.suspended:
        said["suspended"] = held.suspended
    if not held.self_heal:
        said["self_heal"] = False
    if held.windows:
        said["windows"] = _describe_windows(fleet, company, held.windows)
    return said


def list_upkeep(fleet: Fleet, company: Company) -> dict[str, dict[str, Any]]:
    """box → its `canary`, `windows`, `start` and `enrollment` in the manifest, and its `sync` where that is not the
    company's.

    Boxes of which nothing of it is said are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    whole = describe_sync(fleet, company)
    for box in company.boxes:
        if (own := describe_sync(fleet, company, box)) != whole:
            found.setdefault(box.slug, {})["sync"] = own
        if box.settings.start != "on-enroll":
            found.setdefault(box.slug, {})["start"] = box.settings.start
        if enrollment := _describe_enrollment(box):
            found.setdefault(box.slug, {})["enrollment"] = enrollment
        if box.said.canary:
            found.setdefault(box.slug, {})["canary"] = True
        if stretches := box.settings.maintenance:
            found.setdefault(box.slug, {})["windows"] = _describe_windows(fleet, company, stretches)
    return found


def _describe_enrollment(box: Box) -> dict[str, Any]:
    """EnrollmentRules of a box as plain values, without its defaults."""
    said = box.said.enrollment.model_dump(exclude_defaults=True)
    return said | ({"serial": box.said.serial} if box.said.serial else {})


def _describe_windows(
    fleet: Fleet, company: Company | None, stretches: tuple[Stretch, ...]
) -> dict[str, Any]:
    said = [one.model_dump(by_alias=True) for one in stretches]
    return {"timezone": fleet.find_timezone(company), "stretches": said}
