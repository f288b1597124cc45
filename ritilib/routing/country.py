"""What dialling in a country needs: its code, its way of dialling abroad, its premium numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat


@dataclass(frozen=True)
class Country:
    """code is such as "598", abroad the digits before a foreign country's code, such as "00" or "011".

    premium is an extended regular expression over national digits; "" where none are known.
    """

    region: str
    code: str
    abroad: str
    premium: str

    def write_dialled(self, number: str) -> str:
        """The digits by which a person here dials an E.164 number: "24001234", "00551130001234"."""
        parsed = phonenumbers.parse(number, None)
        if str(parsed.country_code) != self.code:
            return self.abroad + number.removeprefix("+")
        written = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        return "".join(character for character in written if character.isdigit())


@cache
def describe_country(region: str) -> Country:
    """From Google's libphonenumber; region is two letters, such as UY."""
    metadata = PhoneMetadata.metadata_for_region(region)
    code = str(phonenumbers.country_code_for_region(region))
    if metadata is None:
        return Country(region, code, "00", "")
    offered = metadata.preferred_international_prefix, metadata.international_prefix
    # where a country has several, libphonenumber gives them as a pattern
    abroad = next((prefix for prefix in offered if prefix and prefix.isdigit()), "00")  # ITU-T E.123
    found = metadata.premium_rate.national_number_pattern if metadata.premium_rate else None
    if not found:
        return Country(region, code, abroad, "")
    # its patterns are Perl's; a dial plan has POSIX's, which know neither (?:…) nor \\d
    plain = found.replace("(?:", "(").replace("\\d", "[0-9]")
    prefix = f"({metadata.national_prefix})?" if metadata.national_prefix else ""
    return Country(region, code, abroad, f"^{prefix}({plain})$")
