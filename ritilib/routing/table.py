"""The table of one company: every string that its telephones may dial, and the extension that rings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.fleet.model import Company
from ritilib.routing.country import Country


@dataclass(frozen=True, order=True)
class Entry:
    """`dialled` (digits only) rings `extension` at `box` (the box's slug); where box is "", the group `extension`."""

    dialled: str
    box: str
    extension: str

    @property
    def is_group(self) -> bool:
        return not self.box


def build_table(company: Company, country: Country) -> tuple[Entry, ...]:
    """Every dialable string of the company, sorted; country gives the national form of public numbers.

    A short number stands before a public form that happens to be written alike: the people of the company say
    short numbers, and the public number can still be dialled with its country.
    """
    homes = {extension.number: box.slug for box in company.boxes for extension in box.said.extensions}
    onward = {
        extension.number: extension.forward.always
        for box in company.boxes
        for extension in box.said.extensions
        if extension.forward.always
    } | {route.number: route.to for route in company.said.routes}
    numbers = [
        *homes,
        *(group.number for group in company.said.groups),
        *(r.number for r in company.said.routes),
    ]
    entries = {number: _lead(number, number, onward, homes) for number in numbers}
    for box in company.boxes:
        for extension in box.said.extensions:
            for dialled in public_forms(extension.public, country):
                entries.setdefault(dialled, _lead(dialled, extension.number, onward, homes))
    return tuple(sorted(entries.values()))


def _lead(dialled: str, number: str, onward: Mapping[str, str], homes: Mapping[str, str]) -> Entry:
    """Where a number ends when routes and forwards are followed; the rules have seen to it that it does end."""
    while number in onward:
        number = onward[number]
    return Entry(dialled, homes.get(number, ""), number)


def public_forms(public: str | None, country: Country) -> tuple[str, ...]:
    """The strings of digits by which a person in `country` dials an E.164 number; () for None."""
    if public is None:
        return ()
    digits = public.removeprefix("+")
    return tuple(dict.fromkeys((digits, country.abroad + digits, country.write_dialled(public))))
