"""fleet/companies/<company>.yaml as a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ritilib.fleet.inherited import Settings
from ritilib.fleet.kinds import Frozen, Holiday, Key, PersonName, ShortNumber, Slug, TimeZone
from ritilib.fleet.stretch import Stretch


class Route(Frozen):
    """A number that every office of the company may dial, and who rings: to, or closed outside the hours that it names.

    to and closed are numbers of the company: extensions, groups, routes or menus.
    """

    number: ShortNumber
    """What is dialled: two to six digits, in quotes."""
    to: ShortNumber
    """Number of who rings, in quotes."""
    hours: Slug | None = None
    """Name of the hours, of those in `hours`, outside which `closed` rings."""
    closed: ShortNumber | None = None
    """Number of who rings outside the hours, in quotes."""


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
    """Who rings when nobody answers: a number of the company, in quotes."""


class Menu(Frozen):
    """A number that answers with recorded words, and rings whom the caller chooses by pressing a key.

    The words are played twice at the most. What choices and else lead to are numbers of the company: extensions,
    groups, routes or menus.
    """

    number: ShortNumber
    """What is dialled: two to six digits, in quotes; one in the whole company."""
    name: PersonName
    """What the menu is called."""
    words: Slug
    """What is said: the name of a recording in fleet/words/COMPANY, without its .gsm (`riti words add`)."""
    choices: Annotated[Mapping[Key, ShortNumber], Field(min_length=1)]
    """Key that is pressed, a digit, * or #, and the number of who rings then, both in quotes."""
    seconds: Annotated[int, Field(ge=1, le=30, strict=True)] = 6
    """How long a key is waited for after the words, in seconds."""
    else_: Annotated[ShortNumber, Field(alias="else")]
    """Number of who rings when none of these keys was pressed, in quotes."""


class CompanyFile(Settings):
    """fleet/companies/<company>.yaml."""

    name: PersonName
    """The company's name as people write it."""
    secrets: Annotated[int, Field(ge=1, le=9999, strict=True)] = 1
    """Generation of the secrets of its links: one more makes new ones, and cuts no call (`riti secrets rotate`)."""
    timezone: TimeZone | None = None
    """Time zone of its hours, such as America/Montevideo; where it is absent, the fleet's."""
    hours: Mapping[Slug, tuple[Stretch, ...]] = {}
    """Name of hours, such as `office`, and the stretches of a week in which they are open."""
    holidays: tuple[Holiday, ...] = ()
    """Days on which it is closed, whatever the hours say, in quotes: "12-25" every year, "2027-03-26" once."""
    routes: tuple[Route, ...] = ()
    """Numbers that every office of the company may dial besides the extensions."""
    groups: tuple[Group, ...] = ()
    """Numbers that ring several telephones."""
    menus: tuple[Menu, ...] = ()
    """Numbers that answer with recorded words and let the caller choose."""
