"""The directory of one company: what its boxes and PBXes are given, and all that a call's way is decided from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ritilib.fleet.box_file import Forward
from ritilib.fleet.emergency import list_emergencies
from ritilib.fleet.lending import list_borrowers
from ritilib.fleet.model import Box, BoxSettings, Company, Fleet
from ritilib.routing.country import Country, describe_country
from ritilib.routing.table import Entry, build_table


@dataclass(frozen=True)
class Line:
    """An office's own telephone line: digits are what a colleague dials to reach it, owner is the number it rings."""

    number: str
    digits: str
    owner: str


@dataclass(frozen=True)
class Office:
    """What the directory says of one box; its extensions ring there.

    lenders are the offices by whose lines it may call out when it has none that is free, borrowers those that may by
    its own; slugs, sorted. An office that may not call out borrows nothing.
    """

    slug: str
    extensions: tuple[str, ...]
    settings: BoxSettings
    line: Line | None = None
    lenders: tuple[str, ...] = ()
    borrowers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ring:
    """A group: what rings for its number, as (box, extension); then is the number that follows, "" for none."""

    number: str
    members: tuple[tuple[str, str], ...]
    in_turn: bool
    seconds: int
    then: str

    def choose_by_line(self, directory: Directory, caller: str) -> Office:
        """Of the members' offices the one that is called over the public network: the first other that has a line."""
        others = [directory.offices[box] for box, _ in self.members if box != caller]
        with_line = (office for office in others if office.line)
        return next(with_line, others[0] if others else directory.offices[caller])


@dataclass(frozen=True)
class Schedule:
    """When a company is open: stretches as Asterisk's GotoIfTime has them ("09:00-17:59", "mon-fri"), in its time zone.

    holidays are "05-01" or "2026-04-03".
    """

    stretches: tuple[tuple[str, str], ...]
    holidays: tuple[str, ...]
    timezone: str


@dataclass(frozen=True)
class Timed:
    """A route that looks at the clock: to in the hours of that schedule, else closed; both numbers of the company."""

    number: str
    schedule: str
    to: str
    closed: str


@dataclass(frozen=True)
class Choice:
    """A menu: the name of its words, key → the number it leads to, seconds to wait for a key, and who rings else."""

    number: str
    words: str
    choices: Mapping[str, str]
    seconds: int
    otherwise: str


@dataclass(frozen=True)
class Directory:
    """One company: its offices by slug, and every string that its telephones may dial.

    forwards has the extensions whose calls go on when busy or unanswered (always is in the entries).
    """

    company: str
    country: Country
    offices: Mapping[str, Office]
    entries: tuple[Entry, ...]
    rings: Mapping[str, Ring]
    timed: Mapping[str, Timed]
    schedules: Mapping[str, Schedule]
    menus: Mapping[str, Choice]
    forwards: Mapping[str, Forward]
    emergencies: tuple[str, ...]
    mailboxes: frozenset[str]  # extensions that have one

    def name_rung(self, number: str) -> str:
        """By what a group reaches an extension: that its telephone rings, and its mailbox does not answer for it."""
        return f"ring-{number}" if number in self.mailboxes else number

    def find(self, dialled: str) -> Entry | None:
        """Who rings for a string of digits; None where it is nobody of the company."""
        return self._by_dialled.get(dialled)

    @cached_property
    def is_limited(self) -> bool:
        """Whether an office's link carries only so many calls at once."""
        return any(office.settings.at_once for office in self.offices.values())

    @cached_property
    def _by_dialled(self) -> Mapping[str, Entry]:
        return {entry.dialled: entry for entry in self.entries}


def build_directory(fleet: Fleet, company: Company) -> Directory:
    """The company's directory; the same for all its boxes and PBXes."""
    country = describe_country(fleet.said.country)
    boxes = {box.slug: box for box in company.boxes}
    # a line that is lent to all is of no use to an office that may not call out
    dialling = {slug for slug, box in boxes.items() if box.settings.outside != "none"}
    borrowers = {
        slug: tuple(one for one in list_borrowers(slug, box.said, boxes) if one in dialling)
        for slug, box in boxes.items()
    }
    lenders: dict[str, list[str]] = {}
    for slug in sorted(borrowers):
        for borrower in borrowers[slug]:
            lenders.setdefault(borrower, []).append(slug)
    return Directory(
        company=company.slug,
        country=country,
        offices={
            slug: _make_office(box, country, tuple(lenders.get(slug, ())), borrowers[slug])
            for slug, box in boxes.items()
        },
        entries=build_table(company, country),
        rings=_list_rings(company),
        timed={
            route.number: Timed(route.number, route.hours, route.to, route.closed)
            for route in company.said.routes
            if route.hours and route.closed
        },
        schedules=_list_schedules(company, fleet.find_timezone(company) or ""),
        menus={
            menu.number: Choice(menu.number, menu.words, menu.choices, menu.seconds, menu.else_)
            for menu in company.said.menus
        },
        forwards={
            extension.number: extension.forward
            for box in company.boxes
            for extension in box.said.extensions
            if extension.forward.busy or extension.forward.unanswered
        },
        emergencies=list_emergencies(fleet.said.country, fleet.said.emergency),
        mailboxes=frozenset(
            extension.number
            for box in company.boxes
            for extension in box.said.extensions
            if extension.mailbox
        ),
    )


def _list_rings(company: Company) -> dict[str, Ring]:
    homes = {extension.number: box.slug for box in company.boxes for extension in box.said.extensions}
    return {
        group.number: Ring(
            number=group.number,
            members=tuple((homes[number], number) for number in group.rings),
            in_turn=group.how == "in-turn",
            seconds=group.seconds,
            then=group.then or "",
        )
        for group in company.said.groups
    }


def _list_schedules(company: Company, timezone: str) -> dict[str, Schedule]:
    return {
        name: Schedule(
            stretches=tuple((f"{one.from_}-{_step_back(one.to)}", one.days) for one in stretches),
            holidays=company.said.holidays,
            timezone=timezone,
        )
        for name, stretches in company.said.hours.items()
    }


def _step_back(time: str) -> str:
    """The minute before, since Asterisk counts the last one in."""
    hours, minutes = map(int, time.split(":"))
    return f"{(hours * 60 + minutes - 1) // 60:02}:{(minutes - 1) % 60:02}"


def _make_office(box: Box, country: Country, lenders: tuple[str, ...], borrowers: tuple[str, ...]) -> Office:
    return Office(
        slug=box.slug,
        extensions=tuple(extension.number for extension in box.said.extensions),
        settings=box.settings,
        line=_make_line(box, country),
        lenders=lenders,
        borrowers=borrowers,
    )


def _make_line(box: Box, country: Country) -> Line | None:
    if box.said.line is None:
        return None
    number = box.said.line.number
    owners = (one.number for one in box.said.extensions if one.public == number)
    return Line(number, country.write_dialled(number), box.said.line.rings or next(owners))
