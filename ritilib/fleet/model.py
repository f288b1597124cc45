"""The fleet as frozen values, one class for each kind of file and for what stands in it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Nomad, Consul and Vault take these in names and paths; "--" is kept free because it joins fleet, company and box.
SLUG_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
SLUG_LONGEST = 24  # three joined make a job id that still fits a terminal line
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LONGEST)]
ShortNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
PublicNumber = Annotated[
    str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")
]  # E.164: 15 digits at the most
# No control character, no line separator, and none of the bidirectional embeddings, overrides and isolates that show a
# reviewer other text than stands there (CVE-2021-42574).
PERSON_NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PERSON_NAME_PATTERN)]
ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9./:_@-]*$", max_length=200)]
EmergencyNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
Codec = Literal["alaw", "ulaw", "g722", "gsm"]  # what both images can speak
Outside = Literal["none", "national", "international"]
Serial = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,16}$")]  # as a Pi prints it in /proc/cpuinfo


class Frozen(BaseModel):
    """A value: unknown keys are refused, so that a misspelt wish is never passed over in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Images(Frozen):
    """The container images that jobs name."""

    pbx: ImageName
    box: ImageName
    overlay: ImageName


class Lighthouse(Frozen):
    """One lighthouse and relay of the overlay: where the public network finds it."""

    name: Slug
    address: IPv4Address
    port: Annotated[int, Field(ge=1, le=65535)] = 4242


class Link(Frozen):
    """An office's way into the Internet, as its provider sells it."""

    round_trip_ms: Annotated[int, Field(ge=1, le=1500)] | None = None  # to its PBX, the worst that is usual
    kbit_s: Annotated[int, Field(ge=64)] | None = None  # the slower of its two directions


class Calls(Frozen):
    """What the telephones of an office may do outside their company."""

    outside: Outside | None = None
    premium: bool | None = None
    longest_min: Annotated[int, Field(ge=1, le=1440)] | None = None


class Settings(Frozen):
    """What may stand in fleet.yaml, a company's file and a box's file: the nearest to the box holds."""

    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] | None = None
    link: Link = Link()
    calls: Calls = Calls()


class FleetFile(Settings):
    """fleet/fleet.yaml."""

    id: UUID
    name: Slug
    overlay: IPv4Network
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    images: Images
    lighthouses: Annotated[tuple[Lighthouse, ...], Field(min_length=1)]
    emergency: tuple[EmergencyNumber, ...] = ()  # besides those that the country is known to have


class Route(Frozen):
    """A number that every office of the company may dial, and the extension that rings."""

    number: ShortNumber
    to: ShortNumber


class CompanyFile(Settings):
    """fleet/companies/<company>.yaml."""

    name: PersonName
    routes: tuple[Route, ...] = ()


class Extension(Frozen):
    """One number inside the company and the telephone that it rings."""

    number: ShortNumber
    name: PersonName
    phone: Literal["adapter", "sip"] = "adapter"
    public: PublicNumber | None = None


class OwnLine(Frozen):
    """The office's own telephone line, on the adapter's FXO port. Its number is the `public` of an extension here."""

    number: PublicNumber


class BoxFile(Settings):
    """fleet/boxes/<company>/<box>.yaml."""

    name: PersonName
    serial: Serial | None = None
    line: OwnLine | None = None
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)]


class BoxSettings(Frozen):
    """What holds for one box, with every default filled in."""

    codecs: tuple[Codec, ...]
    round_trip_ms: int
    kbit_s: int | None  # None: wide enough not to matter
    outside: Outside
    premium: bool
    longest_min: int


class Box(Frozen):
    """One office's box and its PBX: what the file says, and the overlay addresses claimed for both."""

    company: str
    slug: str
    said: BoxFile
    settings: BoxSettings
    box_address: IPv4Address
    pbx_addresses: tuple[IPv4Address, IPv4Address]

    @property
    def key(self) -> str:
        """ "acme/montevideo": the unit's name everywhere."""
        return f"{self.company}/{self.slug}"


class Company(Frozen):
    """A company and its boxes, sorted by name."""

    slug: str
    said: CompanyFile
    boxes: tuple[Box, ...]


class Fleet(Frozen):
    """All that the fleet's files say, judged and complete."""

    said: FleetFile
    companies: tuple[Company, ...]
    lighthouse_addresses: tuple[IPv4Address, ...]  # in the order of said.lighthouses

    @property
    def name(self) -> str:
        return self.said.name
