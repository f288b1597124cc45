"""How a box's PBX is made and replaced, what of it is left alone, and which hardware is let in: what the manifest says
to the controller."""

from __future__ import annotations

from typing import Any

from ritilib.fleet.inherited import Settings
from ritilib.fleet.model import Box, Company, Fleet
from ritilib.fleet.settings import inherit_sync
from ritilib.fleet.stretch import Stretch


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
    """box → its `canary`, `windows`, `image`, `start`, `enrollment` in the manifest, and its `sync` where that is not
    the company's.

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
        if image := _describe_image(box):
            found.setdefault(box.slug, {})["image"] = image
        if box.said.canary:
            found.setdefault(box.slug, {})["canary"] = True
        if stretches := box.settings.maintenance:
            found.setdefault(box.slug, {})["windows"] = _describe_windows(fleet, company, stretches)
    return found


def _describe_enrollment(box: Box) -> dict[str, Any]:
    """EnrollmentRules of a box as plain values, without its defaults."""
    said = box.said.enrollment.model_dump(exclude_defaults=True)
    return said | ({"serial": box.said.serial} if box.said.serial else {})


def _describe_image(box: Box) -> dict[str, Any]:
    """ImageRules of a box as plain values, without its defaults; {} where nobody says a version."""
    held = box.settings
    if held.image_version is None:
        return {}
    said: dict[str, Any] = {"version": held.image_version, "bundles": held.image_bundles}
    if held.image_ca:
        said["ca"] = held.image_ca
    if held.image_attempt != 1:
        said["attempt"] = held.image_attempt
    return said


def _describe_windows(
    fleet: Fleet, company: Company | None, stretches: tuple[Stretch, ...]
) -> dict[str, Any]:
    said = [one.model_dump(by_alias=True) for one in stretches]
    return {"timezone": fleet.find_timezone(company), "stretches": said}
