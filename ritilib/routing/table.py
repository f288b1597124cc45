"""The table of one company: every string that its telephones may dial, and the extension that rings."""

from __future__ import annotations

from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat

from ritilib.fleet.model import Company

INTERNATIONAL_PREFIX = "00"  # ITU-T E.123; countries with another one come with the call policy


@dataclass(frozen=True, order=True)
class Entry:
    """`dialled` (digits only) rings `extension` at `box` (the box's slug)."""

    dialled: str
    box: str
    extension: str


def build_table(company: Company, country: str) -> tuple[Entry, ...]:
    """Every dialable string of the company, sorted; country ("UY") gives the national form of public numbers.

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


def public_forms(public: str | None, country: str) -> tuple[str, ...]:
    """The strings of digits by which a person in `country` dials an E.164 number; () for None."""
    if public is None:
        return ()
    digits = public.removeprefix("+")
    forms = [digits, INTERNATIONAL_PREFIX + digits]
    parsed = phonenumbers.parse(public, None)
    if phonenumbers.country_code_for_region(country) == parsed.country_code:
        national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        forms.append("".join(character for character in national if character.isdigit()))
    return tuple(forms)
