"""Calls out of the company: which digits an office may dial on its own line."""

from __future__ import annotations

import re
from collections.abc import Callable

import phonenumbers

from ritilib.fleet.model import BoxSettings
from ritilib.routing.country import Country

# Shorter strings are services of the network, such as 0 for its operator, or somebody's slip.
SHORTEST = 3


def may_dial_outside(dialled: str, settings: BoxSettings, country: Country) -> bool:
    """Whether an office with these settings may dial digits that are nobody's in its company."""
    if settings.outside == "none" or not re.fullmatch(f"[0-9]{{{SHORTEST},}}", dialled):
        return False
    national = dialled.removeprefix(country.abroad + country.code)
    if settings.outside == "national" and national.startswith(country.abroad):
        return False
    return settings.premium or not (country.premium and re.fullmatch(country.premium, national))


def choose_outside_number(country: Country, is_ours: Callable[[str], bool]) -> str:
    """Digits that any office which may call outside may dial, and that are nobody's in the company.

    An ordinary number of the country, from Google's libphonenumber; where it is ours, one of those after it.
    """
    example = phonenumbers.example_number(country.region)
    if example is None:
        raise ValueError(
            f"{country.region} is no country with telephone numbers"
        )  # load_fleet has refused it
    dialled = country.write_dialled(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    while is_ours(dialled):
        dialled = str(int(dialled) + 1).zfill(len(dialled))
    return dialled
