"""The table of one company: every string that its telephones may dial, and the extension that rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ritilib.fleet.model import Company
from ritilib.routing.country import Country

Kind = Literal["extension", "group", "hours", "menu"]


@dataclass(frozen=True, order=True)
class Entry:
    """What becomes of `dialled` (digits only).

    extension: that one rings at `box` (the box's slug). group, hours, menu: box is "", and `extension` is the number of
    the group, of the route that looks at the clock, or of the menu.
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
    kinds: dict[str, Kind] = dict.fromkeys((one.number for one in company.said.groups), "group")
    kinds |= dict.fromkeys((route.number for route in company.said.routes if route.hours), "hours")
    kinds |= dict.fromkeys((menu.number for menu in company.said.menus), "menu")

    def lead(dialled: str, number: str) -> Entry:
        """Where it ends when routes and forwards are followed; the rules have seen to it that it does end."""
        while number in onward:
            number = onward[number]
        if number in homes:
            return Entry(dialled, homes[number], number)
        return Entry(dialled, "", number, kinds[number])

    numbers = [*homes, *kinds, *(one.number for one in company.said.routes)]
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
