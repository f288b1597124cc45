"""The table of one company: every string that its telephones may dial, and the extension that rings."""

from __future__ import annotations

from dataclasses import dataclass

from ritilib.fleet.model import Company
from ritilib.routing.country import Country


@dataclass(frozen=True, order=True)
class Entry:
    """`dialled` (digits only) rings `extension` at `box` (the box's slug)."""

    dialled: str
    box: str
    extension: str


def build_table(company: Company, country: Country) -> tuple[Entry, ...]:
    """Every dialable string of the company, sorted; country gives the national form of public numbers.

    A short number stands before a public form that happens to be written alike: the people of the company say
    short numbers, and the public number can still be dialled with its country.
    """
    entries: dict[str, Entry] = {}
    homes: dict[str, str] = {}
    for box in company.boxes:
        for extension in box.said.extensions:
            homes[extension.number] = box.slug
            entries[extension.number] = Entry(extension.number, box.slug, extension.number)
    for route in company.said.routes:
        entries[route.number] = Entry(route.number, homes[route.to], route.to)
    for box in company.boxes:
        for extension in box.said.extensions:
            for dialled in public_forms(extension.public, country):
                entries.setdefault(dialled, Entry(dialled, box.slug, extension.number))
    return tuple(sorted(entries.values()))


def public_forms(public: str | None, country: Country) -> tuple[str, ...]:
    """The strings of digits by which a person in `country` dials an E.164 number; () for None."""
    if public is None:
        return ()
    digits = public.removeprefix("+")
    return tuple(dict.fromkeys((digits, country.abroad + digits, country.write_dialled(public))))
