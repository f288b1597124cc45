"""What the manifest says of a box beside its files, as values; a box reads some of them too."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ritilib.fleet.kinds import BundlesAddress, Certificates, ImageVersion, Reason, Serial, TimeZone
from ritilib.fleet.stretch import Stretch


def name_attempt(version: str, attempt: int) -> str:
    """ "1.2.3", or "1.2.3, attempt 2"."""
    return version if attempt == 1 else f"{version}, attempt {attempt}"


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


class ImageRules(BaseModel):
    """Which image a box runs, and where it is had (ritilib.fleet.inherited.BoxImage)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: ImageVersion
    bundles: BundlesAddress
    ca: Certificates | None = None
    attempt: Annotated[int, Field(ge=1)] = 1

    @property
    def name(self) -> str:
        """By which what came of it is remembered: another attempt is another try."""
        return name_attempt(self.version, self.attempt)


class EnrollmentRules(BaseModel):
    """Which hardware is let in as this box: its serial number (None: nobody has said it), how many came before it and
    itself, and whether none is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    serial: Serial | None = None
    generation: Annotated[int, Field(ge=1)] = 1
    revoked: bool = False
