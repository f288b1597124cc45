"""fleet/boxes/<company>/<box>.yaml as a frozen value."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from ritilib.fleet.inherited import Settings
from ritilib.fleet.kinds import Address, Frozen, Mac, Offices, PersonName, PublicNumber, Serial, ShortNumber


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


class Mailbox(Frozen):
    """What answers when nobody does, keeps messages on the office's box, and is heard from its own telephone by *97."""

    # a telephone without a mailbox rings for 45 s, and callers wait for 60
    after_s: Annotated[int, Field(ge=5, le=45, strict=True)] = 20
    """How long the telephone rings first, in seconds."""


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
    mailbox: Mailbox | None = None
    """Answers when nobody does, and keeps messages: `{}`, or with the seconds before; instead of `unanswered`."""


class OwnLine(Frozen):
    """The office's own telephone line, on the adapter's FXO port; rings is who answers it, a number of the company.

    Without rings it is the extension of this office that has the line's number as its `public`.
    """

    number: PublicNumber
    """The line's number in the public network, in quotes."""
    rings: ShortNumber | None = None
    """Number of who answers it, in quotes; where it is absent, the extension with the line's number as `public`."""
    lent_to: Offices | None = None
    """Offices (names of their files) that may call out by it where they have no line that is free; or `all`."""


class Adapter(Frozen):
    """The Grandstream HT813 of the office; box is where it finds the box: on an interface that the two have alone."""

    mac: Mac
    """The address on its sticker, in quotes: 12 hexadecimal digits, with or without colons."""
    box: Address = IPv4Address("192.168.213.1")
    """Where it finds the box: the box's address on the interface that the two have alone."""


class Enrollment(Frozen):
    """Which of the office's boxes, one after another, may be let in; `riti enroll` writes it."""

    generation: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 1
    """Counts the hardware: one more when it is replaced, by which the one before is locked out for ever."""
    revoked: Annotated[bool, Field(strict=True)] = False
    """Whether the box is locked out: Consul, Vault and the overlay are closed to it, and its PBX is stopped."""


class BoxFile(Settings):
    """fleet/boxes/<company>/<box>.yaml."""

    name: PersonName
    """The office's name as people write it."""
    serial: Serial | None = None
    """The Raspberry Pi's serial number, as it prints it in /proc/cpuinfo."""
    enrollment: Enrollment = Enrollment()
    """Which hardware is let in, and whether any is."""
    adapter: Adapter | None = None
    """The office's analogue adapter."""
    line: OwnLine | None = None
    """The office's own telephone line, on the adapter."""
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)]
    """The office's telephones."""
    canary: bool = False
    """Whether this box is among the first of every rollout."""
