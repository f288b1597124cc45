"""The table of one company: every string that its telephones may dial, and the extension that rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ritilib.fleet.model import Company
from ritilib.routing.country import Country

Kind = Literal["extension", "group", "hours"]


@dataclass(frozen=True, order=True)
class Entry:
    """What becomes of `dialled` (digits only).

    extension: that one rings at `box` (the box's slug). group, hours: box is "", and `extension` is the number of the
    group, or of the route that looks at the clock.
    """

    dialled: str
    box: str
    extension: str
    kind: Kind = "extension"


def build_table(company: Company, country: Country) -> tuple[Entry, ...]:
    """Every dialable string of the company, sorted; country gives the national form of public numbers.

    A short number stands before a public form that happens to be written alike: the people of the company say
    short numbers, and the public number can still be dialled with its country.
    """
    homes = {extension.number: box.slug for box in company.boxes for extension in box.said.extensions}
    extensions = [extension for box in company.boxes for extension in box.said.extensions]
    onward = {one.number: one.forward.always for one in extensions if one.forward.always}
    onward |= {route.number: route.to for route in company.said.routes if not route.hours}
    timed = {route.number for route in company.said.routes if route.hours}

    def lead(dialled: str, number: str) -> Entry:
        """Where it ends when routes and forwards are followed; the rules have seen to it that it does end."""
        while number in onward:
            number = onward[number]
        if number in homes:
            return Entry(dialled, homes[number], number)
        return Entry(dialled, "", number, "hours" if number in timed else "group")

    numbers = [
        *homes,
        *(one.number for one in company.said.groups),
        *(one.number for one in company.said.routes),
    ]
    entries = {number: lead(number, number) for number in numbers}
    public = [(extension.public, extension.number) for extension in extensions]
    lines = (box.said.line for box in company.boxes if box.said.line)
    public += [(line.number, line.rings) for line in lines if line.rings]
    for number, rings in public:
        for dialled in public_forms(number, country):
            entries.setdefault(dialled, lead(dialled, rings))
    return tuple(sorted(entries.values()))


def public_forms(public: str | None, country: Country) -> tuple[str, ...]:
    """The strings of digits by which a person in `country` dials an E.164 number; () for None."""
    if public is None:
        return ()
    digits = public.removeprefix("+")
    return tuple(dict.fromkeys((digits, country.abroad + digits, country.write_dialled(public))))
