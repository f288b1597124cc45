"""What Consul says of a box's image: the version that it is to run, and what came of that. One value for each box.

The controller writes it when the box's turn has come, and again when it knows what became of it; so the value is all
that there is to remember of a rollout. The box reads which version, and leaves the rest alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ritilib.errors import GitopsError, Problem
from ritilib.fleet.kinds import BundlesAddress, Certificates, ImageVersion
from ritilib.render.rules import ImageRules, Windows, name_attempt

FORMAT: Literal[1] = 1
MOST_BYTES = 32 * 1024


class ImageValue(BaseModel):
    """version, bundles, ca, attempt as in ImageRules; windows: outside which it is not begun (None: at any time).

    told_at: since when the box is to run it. had_link: whether its link was up then. judged: what became of it, since
    judged_at, and why where that is bad. Keys of a later version of RITI are passed over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = FORMAT
    version: ImageVersion
    bundles: BundlesAddress
    ca: Certificates | None = None
    attempt: Annotated[int, Field(ge=1)] = 1
    windows: Windows | None = None
    told_at: datetime
    had_link: bool = False
    judged: Literal["", "good", "bad"] = ""
    judged_at: datetime | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """By which what came of it is remembered."""
        return name_attempt(self.version, self.attempt)

    def is_as(self, rules: ImageRules, windows: Windows | None) -> bool:
        """Whether it says the same as the fleet."""
        said = self.version, self.bundles, self.ca, self.attempt, self.windows
        return said == (rules.version, rules.bundles, rules.ca, rules.attempt, windows)

    def encode(self) -> bytes:
        """As it lies in Consul: the same bytes for the same value."""
        said: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        return json.dumps(said, sort_keys=True, ensure_ascii=False).encode()


def write_image_value(
    rules: ImageRules, windows: Windows | None, told_at: datetime, **more: Any
) -> ImageValue:
    """What a box is told whose turn has come; more as in ImageValue."""
    return ImageValue(
        version=rules.version,
        bundles=rules.bundles,
        ca=rules.ca,
        attempt=rules.attempt,
        windows=windows,
        told_at=told_at,
        **more,
    )


def read_image_value(value: bytes) -> ImageValue:
    """GitopsError with all that is wrong with it."""
    if len(value) > MOST_BYTES:
        raise GitopsError([_problem(f"it has {len(value)} bytes")])
    try:
        return ImageValue.model_validate_json(value)
    except ValidationError as error:
        # pydantic's own words quote what it read
        details = error.errors(include_url=False, include_input=False)
        raise GitopsError(_problem(_describe(one["loc"], one["msg"])) for one in details) from None


def _describe(place: tuple[int | str, ...], what: str) -> str:
    key = ".".join(map(str, place))
    return f"`{key}`: {what[0].lower()}{what[1:]}" if key else what


def _problem(what: str) -> Problem:
    return Problem(
        "", 0, 0, f"what is said of its image: {what}", "the controller writes it anew: see its log"
    )
