"""The directory of one company: what its boxes and PBXes are given, and all that a call's way is decided from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ritilib.fleet.emergency import list_emergencies
from ritilib.fleet.model import Box, BoxSettings, Company, Fleet
from ritilib.routing.country import Country, describe_country
from ritilib.routing.table import Entry, build_table


@dataclass(frozen=True)
class Line:
    """An office's own telephone line: digits are what a colleague dials to reach it, owner is whom it rings."""

    number: str
    digits: str
    owner: str


@dataclass(frozen=True)
class Office:
    """What the directory says of one box; its extensions ring there."""

    slug: str
    extensions: tuple[str, ...]
    settings: BoxSettings
    line: Line | None = None


@dataclass(frozen=True)
class Directory:
    """One company: its offices by slug, and every string that its telephones may dial."""

    company: str
    country: Country
    offices: Mapping[str, Office]
    entries: tuple[Entry, ...]
    emergencies: tuple[str, ...]

    def find(self, dialled: str) -> Entry | None:
        """Who rings for a string of digits; None where it is nobody of the company."""
        return self._by_dialled.get(dialled)

    @cached_property
    def _by_dialled(self) -> Mapping[str, Entry]:
        return {entry.dialled: entry for entry in self.entries}


def build_directory(fleet: Fleet, company: Company) -> Directory:
    """The company's directory; the same for all its boxes and PBXes."""
    country = describe_country(fleet.said.country)
    return Directory(
        company=company.slug,
        country=country,
        offices={box.slug: _make_office(box, country) for box in company.boxes},
        entries=build_table(company, country),
        emergencies=list_emergencies(fleet.said.country, fleet.said.emergency),
    )


def _make_office(box: Box, country: Country) -> Office:
    return Office(
        slug=box.slug,
        extensions=tuple(extension.number for extension in box.said.extensions),
        settings=box.settings,
        line=_make_line(box, country),
    )


def _make_line(box: Box, country: Country) -> Line | None:
    if box.said.line is None:
        return None
    number = box.said.line.number
    owner = next(one.number for one in box.said.extensions if one.public == number)
    return Line(number, country.write_dialled(number), owner)
