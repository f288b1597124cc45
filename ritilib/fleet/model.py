"""The fleet as one frozen value: all that its files say, judged and complete."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.kinds import Codec, Frozen, ImageVersion, Language, Outside, Reason, Slug, Start
from ritilib.fleet.stretch import Stretch


class SyncSettings(Frozen):
    """What the controller leaves alone of one box, of a company, or of the fleet's lighthouses."""

    suspended: Reason | None = None  # None: it is not
    self_heal: bool = True
    windows: tuple[Stretch, ...] = ()  # (): at any time; in the time zone of Fleet.find_timezone


class BoxSettings(Frozen):
    """What holds for one box, with every default filled in."""

    codecs: tuple[Codec, ...]
    language: Language
    place: Slug | None  # None: wherever Nomad finds room
    round_trip_ms: int | None  # None: nobody has said it
    kbit_s: int | None  # None: wide enough not to matter
    outside: Outside
    premium: bool
    longest_min: int
    at_once: int | None  # calls that its link carries; None: as many as come
    cpu_mhz: int
    memory_mb: int
    image_version: ImageVersion | None  # None: it keeps what it has
    image_bundles: str | None
    image_ca: str | None
    image_attempt: int
    maintenance: tuple[Stretch, ...]  # in the time zone of Fleet.find_timezone
    start: Start
    sync: SyncSettings


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
    """A company and its boxes, sorted by name; words are the recordings that its menus say, by name."""

    slug: str
    said: CompanyFile
    boxes: tuple[Box, ...]
    words: Mapping[str, bytes] = {}


class Fleet(Frozen):
    """All that the fleet's files say, judged and complete."""

    said: FleetFile
    companies: tuple[Company, ...]
    lighthouse_addresses: tuple[IPv4Address, ...]  # in the order of said.lighthouses

    @property
    def name(self) -> str:
        return self.said.name

    def find_timezone(self, company: Company | None) -> str | None:
        """The time zone of a company's hours, maintenance and windows (None: the fleet's), if anybody says one."""
        return (company.said.timezone if company else None) or self.said.timezone
