"""The fleet as frozen values, one class for each kind of file and for what stands in it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

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


class FleetFile(Frozen):
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


class Route(Frozen):
    """A number that every office of the company may dial, and the extension that rings."""

    number: ShortNumber
    """What is dialled: two to six digits, in quotes."""
    to: ShortNumber
    """Number of the extension that rings, in quotes."""


class CompanyFile(Frozen):
    """fleet/companies/<company>.yaml."""

    name: PersonName
    """The company's name as people write it."""
    routes: tuple[Route, ...] = ()
    """Numbers that every office of the company may dial besides the extensions."""


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


class BoxFile(Frozen):
    """fleet/boxes/<company>/<box>.yaml."""

    name: PersonName
    """The office's name as people write it."""
    serial: Serial | None = None
    """The Raspberry Pi's serial number, as it prints it in /proc/cpuinfo."""
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)]
    """The office's telephones."""


class Box(Frozen):
    """One office's box and its PBX: what the file says, and the overlay addresses claimed for both."""

    company: str
    slug: str
    said: BoxFile
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
