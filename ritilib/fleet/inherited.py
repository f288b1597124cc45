"""What fleet.yaml, a company's file and a box's file may all say; settings.py has how it is inherited."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ritilib.fleet.kinds import (
    BundlesAddress,
    Certificates,
    Codec,
    Frozen,
    ImageVersion,
    Language,
    Outside,
    Reason,
    Slug,
    Start,
)
from ritilib.fleet.stretch import Stretch


class Link(Frozen):
    """An office's way into the Internet, as its provider sells it."""

    round_trip_ms: Annotated[int, Field(ge=1, le=1500, strict=True)] | None = None
    """To its PBX and back, in milliseconds: the worst that is usual."""
    kbit_s: Annotated[int, Field(ge=64, strict=True)] | None = None
    """The slower of its two directions, in kbit/s; where it is absent, the line is wide enough not to matter."""


class Calls(Frozen):
    """What the telephones of an office may do outside their company, and how many calls its link carries."""

    outside: Outside | None = None
    """How far into the public network: `none`, `national` or `international`; emergency numbers always."""
    premium: bool | None = None
    """Whether numbers that cost more than a call may be dialled."""
    longest_min: Annotated[int, Field(ge=1, le=1440, strict=True)] | None = None
    """Minutes after which a call is ended, since somebody forgot to."""
    at_once: Annotated[int, Field(ge=1, le=200, strict=True)] | None = None
    """How many calls the office's link carries at once; where it is absent, as many as fit into `link.kbit_s`."""


class Resources(Frozen):
    """What Nomad sets aside for a PBX; another wish replaces it, when it has no call."""

    cpu_mhz: Annotated[int, Field(ge=20, le=10000, strict=True)] | None = None
    """Its share of a processor, in MHz."""
    # a PBX without a call has 22 MB resident (bench image)
    memory_mb: Annotated[int, Field(ge=48, le=4096, strict=True)] | None = None
    """Its memory, in MB; one that needs more is ended by the kernel, with its calls."""


class BoxImage(Frozen):
    """The image that a box runs: the whole of its disk, not the container that `images.box` names."""

    version: ImageVersion | None = None
    """Version of the image, such as 1.2.3, never an older one; where it is absent, each box keeps what it has."""
    bundles: BundlesAddress | None = None
    """The folder with the bundles `riti-box-BOARD-VERSION.raucb`: https, or http at a private address."""
    ca: Annotated[Certificates, Field(max_length=8000)] | None = None
    """Certificate (PEM) of the authority that signed the https server's: a box's image knows no public ones."""
    attempt: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    """Counts the tries of one version: one more has boxes that went back from it try it again."""


class Sync(Frozen):
    """What the controller leaves alone, and when. Nobody further down can lift what is suspended here."""

    suspended: Reason | None = None
    """Why nothing is written any more: no update, no repair, no removal; where it is absent, all is."""
    self_heal: bool | None = None
    """Whether what others change by hand in Nomad or Consul is put back: yes, where nobody says `false`."""
    windows: tuple[Stretch, ...] | None = None
    """When changes of Git are applied, in the company's time zone; none, or `[]`: at any time."""


class Settings(Frozen):
    """What may stand in fleet.yaml, a company's file and a box's file: the nearest to the box holds."""

    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] | None = None
    """What calls are spoken in, the best first; two offices of a company need one in common."""
    place: Slug | None = None
    """Where the PBX runs, one of fleet.yaml's `places`; where it is absent, wherever Nomad finds room."""
    language: Language | None = None
    """What mailboxes speak: `en`, `es`, `fr`, `it` or `ru`."""
    link: Link = Link()
    """The office's way into the Internet."""
    calls: Calls = Calls()
    """What telephones may do outside their company, and how many calls the link carries."""
    resources: Resources = Resources()
    """What Nomad sets aside for the PBX."""
    box_image: BoxImage = BoxImage()
    """Which image the box runs, and where it is had; in waves, and never while it has a call."""
    maintenance: tuple[Stretch, ...] | None = None
    """When a PBX that must be replaced, and is never without a call, may be; and a box's image only then."""
    start: Start | None = None
    """When the PBX is made: `on-enroll`, when its box is there, or `on-merge`, before; `on-enroll` without it."""
    sync: Sync = Sync()
    """What the controller leaves alone: `suspended`, `self_heal` and `windows`."""
