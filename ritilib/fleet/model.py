"""The fleet as frozen values, one class for each kind of file and for what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ritilib.fleet.timezones import check_timezone

# Nomad, Consul and Vault take these in names and paths; "--" is kept free because it joins fleet, company and box.
SLUG_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
SLUG_LONGEST = 24  # three joined make a job id that still fits a terminal line
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LONGEST)]
ShortNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
PublicNumber = Annotated[
    str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")
]  # E.164: 15 digits at the most
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9./:_@-]*$", max_length=200)]
EmergencyNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
DAY = "(mon|tue|wed|thu|fri|sat|sun)"
TimeZone = Annotated[str, AfterValidator(check_timezone)]
Holiday = Annotated[str, StringConstraints(pattern=r"^(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Codec = Literal["alaw", "ulaw", "g722", "gsm"]  # what both images can speak
Outside = Literal["none", "national", "international"]
Mac = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}$"),
    AfterValidator(lambda mac: mac.replace(":", "").replace("-", "")),
]
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
    place: Slug | None = None
    link: Link = Link()
    calls: Calls = Calls()


class Place(Frozen):
    """Nomad clients that say `riti.place` in their meta, and how many boxes' PBXes they carry together."""

    name: Slug
    boxes: Annotated[int, Field(ge=1)]


class FleetFile(Settings):
    """fleet/fleet.yaml."""

    id: UUID
    name: Slug
    overlay: IPv4Network
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    images: Images
    lighthouses: Annotated[tuple[Lighthouse, ...], Field(min_length=1)]
    timezone: TimeZone | None = None
    places: tuple[Place, ...] = ()
    emergency: tuple[EmergencyNumber, ...] = ()  # besides those that the country is known to have


class Route(Frozen):
    """A number that every office of the company may dial, and who rings: to, or closed outside the hours that it names.

    to and closed are numbers of the company: extensions, groups or routes.
    """

    number: ShortNumber
    to: ShortNumber
    hours: Slug | None = None
    closed: ShortNumber | None = None


class Open(Frozen):
    """One stretch of a week in which a company is open, in its own time; `to` is the first minute after it."""

    days: Annotated[str, StringConstraints(pattern=f"^{DAY}(-{DAY})?$")]
    from_: Annotated[str, Field(alias="from"), StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    to: Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class Group(Frozen):
    """A number that rings several telephones, of whichever offices; `then` is who rings when nobody answers."""

    number: ShortNumber
    name: PersonName
    rings: Annotated[tuple[ShortNumber, ...], Field(min_length=1, max_length=20)]
    how: Literal["all", "in-turn"] = "all"
    seconds: Annotated[int, Field(ge=5, le=120)] = 20
    then: ShortNumber | None = None


class CompanyFile(Settings):
    """fleet/companies/<company>.yaml."""

    name: PersonName
    timezone: TimeZone | None = None
    hours: Mapping[Slug, tuple[Open, ...]] = {}
    holidays: tuple[Holiday, ...] = ()  # closed, whatever the hours say
    routes: tuple[Route, ...] = ()
    groups: tuple[Group, ...] = ()


class Forward(Frozen):
    """Who rings instead, a number of the company; unanswered is after_s seconds of ringing, or nobody there."""

    always: ShortNumber | None = None
    busy: ShortNumber | None = None
    unanswered: ShortNumber | None = None
    after_s: Annotated[int, Field(ge=5, le=60)] = 20


class Extension(Frozen):
    """One number inside the company and the telephone that it rings."""

    number: ShortNumber
    name: PersonName
    phone: Literal["adapter", "sip"] = "adapter"
    public: PublicNumber | None = None
    forward: Forward = Forward()


class OwnLine(Frozen):
    """The office's own telephone line, on the adapter's FXO port; rings is who answers it, a number of the company.

    Without rings it is the extension of this office that has the line's number as its `public`.
    """

    number: PublicNumber
    rings: ShortNumber | None = None


class Adapter(Frozen):
    """The Grandstream HT813 of the office; box is where it finds the box: on an interface that the two have alone."""

    mac: Mac
    box: IPv4Address = IPv4Address("192.168.213.1")


class BoxFile(Settings):
    """fleet/boxes/<company>/<box>.yaml."""

    name: PersonName
    serial: Serial | None = None
    adapter: Adapter | None = None
    line: OwnLine | None = None
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)]


class BoxSettings(Frozen):
    """What holds for one box, with every default filled in."""

    codecs: tuple[Codec, ...]
    place: Slug | None  # None: wherever Nomad finds room
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
