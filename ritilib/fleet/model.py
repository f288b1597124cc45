"""The fleet as frozen values, one class for each kind of file and for what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from ritilib.fleet.timezones import check_timezone

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
DAY = "(mon|tue|wed|thu|fri|sat|sun)"
TimeZone = Annotated[str, AfterValidator(check_timezone)]
Holiday = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
Codec = Literal["alaw", "ulaw", "g722", "gsm"]  # what both images can speak
Outside = Literal["none", "national", "international"]
Mac = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}$"),
    AfterValidator(lambda mac: mac.replace(":", "").replace("-", "")),
]
Serial = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,16}$")]  # as a Pi prints it in /proc/cpuinfo


def _refuse_numbers(said: Any) -> Any:
    """pydantic would take the number 10 for the address 0.0.0.10."""
    if isinstance(said, int | float):
        raise PydanticCustomError("address_type", "input should be an address such as 192.0.2.1")
    return said


Address = Annotated[IPv4Address, BeforeValidator(_refuse_numbers)]
Network = Annotated[IPv4Network, BeforeValidator(_refuse_numbers)]


class Frozen(BaseModel):
    """A value: unknown keys are refused, so that a misspelt wish is never passed over in silence.

    The text below a key is its description in the JSON Schema that editors show (fleet/schema.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Images(Frozen):
    """The container images that jobs name."""

    pbx: ImageName
    """Image of a PBX in the cloud: Asterisk."""
    box: ImageName
    """Image of Asterisk on a box in an office."""
    overlay: ImageName
    """Image of the overlay's end beside a PBX, and of lighthouses: Nebula."""


class Lighthouse(Frozen):
    """One lighthouse and relay of the overlay: where the public network finds it."""

    name: Slug
    """Its name in Nomad and in its certificate, such as `one`."""
    address: Address
    """Fixed address of the public network, outside the overlay."""
    port: Annotated[int, Field(ge=1, le=65535, strict=True)] = 4242
    """UDP port at that address."""


class Link(Frozen):
    """An office's way into the Internet, as its provider sells it."""

    round_trip_ms: Annotated[int, Field(ge=1, le=1500, strict=True)] | None = None
    """To its PBX and back, in milliseconds: the worst that is usual."""
    kbit_s: Annotated[int, Field(ge=64, strict=True)] | None = None
    """The slower of its two directions, in kbit/s; where it is absent, the line is wide enough not to matter."""


class Calls(Frozen):
    """What the telephones of an office may do outside their company."""

    outside: Outside | None = None
    """How far into the public network: `none`, `national` or `international`; emergency numbers always."""
    premium: bool | None = None
    """Whether numbers that cost more than a call may be dialled."""
    longest_min: Annotated[int, Field(ge=1, le=1440, strict=True)] | None = None
    """Minutes after which a call is ended, since somebody forgot to."""


class Settings(Frozen):
    """What may stand in fleet.yaml, a company's file and a box's file: the nearest to the box holds."""

    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] | None = None
    """What calls are spoken in, the best first; two offices of a company need one in common."""
    place: Slug | None = None
    """Where the PBX runs, one of fleet.yaml's `places`; where it is absent, wherever Nomad finds room."""
    link: Link = Link()
    """The office's way into the Internet."""
    calls: Calls = Calls()
    """What telephones may do outside their company."""


class Place(Frozen):
    """Nomad clients that say `riti.place` in their meta, and how many boxes' PBXes they carry together."""

    name: Slug
    """What the clients say as `riti.place` in their meta."""
    boxes: Annotated[int, Field(ge=1, strict=True)]
    """How many boxes' PBXes they carry together."""


class FleetFile(Settings):
    """fleet/fleet.yaml."""

    id: UUID
    """Made by `riti init` and written into the repository's first commit as well: it never changes."""
    name: Slug
    """Part of every name in Nomad, Consul and Vault: another name would be another fleet."""
    overlay: Network
    """The encrypted network between boxes, PBXes and lighthouses, such as 100.80.0.0/16; no office may use it."""
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    """Two letters of the country whose telephone numbers and emergency numbers are meant, such as UY."""
    images: Images
    """The container images that jobs and boxes run."""
    lighthouses: Annotated[tuple[Lighthouse, ...], Field(min_length=1)]
    """Where boxes and PBXes find each other; have two, in different places."""
    timezone: TimeZone | None = None
    """Time zone of companies that say none, such as America/Montevideo."""
    places: tuple[Place, ...] = ()
    """Where PBXes may run, and how many; none: anywhere."""
    emergency: tuple[EmergencyNumber, ...] = ()
    """Emergency numbers, in quotes, besides those that the country is known to have."""


class Route(Frozen):
    """A number that every office of the company may dial, and who rings: to, or closed outside the hours that it names.

    to and closed are numbers of the company: extensions, groups or routes.
    """

    number: ShortNumber
    """What is dialled: two to six digits, in quotes."""
    to: ShortNumber
    """Number of who rings, in quotes."""
    hours: Slug | None = None
    """Name of the hours, of those in `hours`, outside which `closed` rings."""
    closed: ShortNumber | None = None
    """Number of who rings outside the hours, in quotes."""


class Open(Frozen):
    """One stretch of a week in which a company is open, in its own time; `to` is the first minute after it."""

    days: Annotated[str, StringConstraints(pattern=f"^{DAY}(-{DAY})?$")]
    """A day or two with a dash, such as mon-fri."""
    from_: Annotated[str, Field(alias="from"), StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    """The first minute of the stretch, in quotes, such as "09:00"."""
    to: Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    """The first minute after the stretch, in quotes, such as "18:00"."""


class Group(Frozen):
    """A number that rings several telephones, of whichever offices; `then` is who rings when nobody answers."""

    number: ShortNumber
    """What is dialled: two to six digits, in quotes; one in the whole company."""
    name: PersonName
    """What the group is called."""
    rings: Annotated[tuple[ShortNumber, ...], Field(min_length=1, max_length=20)]
    """Numbers of the extensions that ring, in quotes."""
    how: Literal["all", "in-turn"] = "all"
    """`all`: together; `in-turn`: one after the other."""
    seconds: Annotated[int, Field(ge=5, le=120, strict=True)] = 20
    """How long it rings, in seconds (each telephone, where they ring in turn)."""
    then: ShortNumber | None = None
    """Who rings when nobody answers: number of an extension or group, in quotes."""


class CompanyFile(Settings):
    """fleet/companies/<company>.yaml."""

    name: PersonName
    """The company's name as people write it."""
    timezone: TimeZone | None = None
    """Time zone of its hours, such as America/Montevideo; where it is absent, the fleet's."""
    hours: Mapping[Slug, tuple[Open, ...]] = {}
    """Name of hours, such as `office`, and the stretches of a week in which they are open."""
    holidays: tuple[Holiday, ...] = ()
    """Days on which it is closed, whatever the hours say, in quotes: "12-25" every year, "2027-03-26" once."""
    routes: tuple[Route, ...] = ()
    """Numbers that every office of the company may dial besides the extensions."""
    groups: tuple[Group, ...] = ()
    """Numbers that ring several telephones."""


class Forward(Frozen):
    """Who rings instead, a number of the company; unanswered is after_s seconds of ringing, or nobody there."""

    always: ShortNumber | None = None
    """Who rings instead, whatever this telephone does."""
    busy: ShortNumber | None = None
    """Who rings when somebody is talking here."""
    unanswered: ShortNumber | None = None
    """Who rings when nobody answers, or the telephone is not there."""
    after_s: Annotated[int, Field(ge=5, le=60, strict=True)] = 20
    """How long it rings before it counts as unanswered, in seconds."""


class Extension(Frozen):
    """One number inside the company and the telephone that it rings."""

    number: ShortNumber
    """What colleagues dial: two to six digits, in quotes; one in the whole company."""
    name: PersonName
    """Who or what answers, shown on the telephone that is called."""
    phone: Literal["adapter", "sip"] = "adapter"
    """`adapter`: the analogue telephone behind the adapter, one a box; `sip`: a telephone on the office's network."""
    public: PublicNumber | None = None
    """Its number in the public network, in quotes: a plus, the country, the number; one in the whole fleet."""
    forward: Forward = Forward()
    """Who rings instead, and when."""


class OwnLine(Frozen):
    """The office's own telephone line, on the adapter's FXO port; rings is who answers it, a number of the company.

    Without rings it is the extension of this office that has the line's number as its `public`.
    """

    number: PublicNumber
    """The line's number in the public network, in quotes."""
    rings: ShortNumber | None = None
    """Number of who answers it, in quotes; where it is absent, the extension with the line's number as `public`."""


class Adapter(Frozen):
    """The Grandstream HT813 of the office; box is where it finds the box: on an interface that the two have alone."""

    mac: Mac
    """The address on its sticker, in quotes: 12 hexadecimal digits, with or without colons."""
    box: Address = IPv4Address("192.168.213.1")
    """Where it finds the box: the box's address on the interface that the two have alone."""


class BoxFile(Settings):
    """fleet/boxes/<company>/<box>.yaml."""

    name: PersonName
    """The office's name as people write it."""
    serial: Serial | None = None
    """The Raspberry Pi's serial number, as it prints it in /proc/cpuinfo."""
    adapter: Adapter | None = None
    """The office's analogue adapter."""
    line: OwnLine | None = None
    """The office's own telephone line, on the adapter."""
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)]
    """The office's telephones."""


class BoxSettings(Frozen):
    """What holds for one box, with every default filled in."""

    codecs: tuple[Codec, ...]
    place: Slug | None  # None: wherever Nomad finds room
    round_trip_ms: int | None  # None: nobody has said it
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
