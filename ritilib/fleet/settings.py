"""Settings come from the fleet, the company and the box: for each key the nearest to the box that says it holds."""

from __future__ import annotations

from typing import Any

from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.capacity import derive_at_once
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.inherited import Settings
from ritilib.fleet.model import BoxSettings, SyncSettings

# A call of three hours is one that somebody forgot to end (and an FXO line may never tell that the other has).
DEFAULTS = BoxSettings(
    codecs=("alaw",),
    language="en",
    place=None,
    round_trip_ms=None,
    kbit_s=None,
    outside="national",
    premium=False,
    longest_min=180,
    at_once=None,
    cpu_mhz=50,
    memory_mb=64,
    image_version=None,
    image_bundles=None,
    image_ca=None,
    image_attempt=1,
    maintenance=(),
    start="on-enroll",
    sync=SyncSettings(),
)


def inherit_settings(fleet: FleetFile, company: CompanyFile, box: BoxFile) -> BoxSettings:
    """What holds for the box; where nobody says how many calls its link carries, its kbit_s does."""
    said: dict[str, Any] = {}
    for level in (fleet, company, box):
        said |= _list_said(level)
    said["sync"] = inherit_sync(fleet, company, box)
    made = DEFAULTS.model_copy(update=said)
    if made.at_once is None and made.kbit_s is not None:
        return made.model_copy(update={"at_once": derive_at_once(made.kbit_s, made.codecs[0])})
    return made


def inherit_sync(*levels: Settings) -> SyncSettings:
    """What holds at the last of these levels (fleet, company, box): of each key what the nearest says."""
    said: dict[str, Any] = {}
    for level in levels:
        said |= {key: value for key, value in dict(level.sync).items() if value is not None}
    return SyncSettings(**said)


def _list_said(level: Settings) -> dict[str, Any]:
    """key → value of what this level says; what it leaves to the level above is left out."""
    own = {
        "codecs": level.codecs,
        "language": level.language,
        "maintenance": level.maintenance,
        "place": level.place,
        "start": level.start,
    }
    image = {f"image_{key}": value for key, value in dict(level.box_image).items()}
    every = own | image | dict(level.link) | dict(level.calls) | dict(level.resources)
    return {key: value for key, value in every.items() if value is not None}
