"""Time zones that Asterisk can be given: an unknown one it takes for UTC, without a word."""

from __future__ import annotations

from functools import cache

from phonenumbers.tzdata import TIMEZONE_DATA

# Old names that libphonenumber still uses; Debian's tzdata has only those that took their places.
_RENAMED = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}


@cache
def list_timezones() -> frozenset[str]:
    """The zones in which there are telephones, from Google's libphonenumber, by the names that tzdata has today."""
    named = {name for names in TIMEZONE_DATA.values() for name in names}
    return frozenset(_RENAMED.get(name, name) for name in named)


def check_timezone(name: str) -> str:
    """The name itself; ValueError where no telephone is in such a zone."""
    if name not in list_timezones():
        today = _RENAMED.get(name)
        raise ValueError(
            f"is called {today} today" if today else "is no time zone, such as America/Montevideo"
        )
    return name
