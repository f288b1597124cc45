"""Emergency numbers: what a country is known to have, and what the fleet adds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product

from phonenumbers import PhoneMetadata, shortnumberinfo

# phonenumbers knows them as a pattern, so every number of a possible length is tried; of six digits (three countries
# have some) that would take seconds, so those are named in fleet.yaml.
_LONGEST_TRIED = 4


def list_emergencies(country: str, added: Iterable[str] = ()) -> tuple[str, ...]:
    """The strings that reach an emergency service when dialled in `country` ("UY"), sorted.

    From Google's libphonenumber (ShortNumberInfo), and those that fleet.yaml adds.
    """
    return tuple(sorted({*_list_known(country), *added}))


@cache
def _list_known(country: str) -> tuple[str, ...]:
    metadata = PhoneMetadata.short_metadata_for_region(country)
    lengths = metadata.emergency.possible_length if metadata and metadata.emergency else ()
    tried = (
        "".join(digits)
        for length in lengths
        if 0 < length <= _LONGEST_TRIED
        for digits in product("0123456789", repeat=length)
    )
    return tuple(number for number in tried if shortnumberinfo.is_emergency_number(number, country))
