"""The kinds of words that stand in the fleet's files, and the base of all values made of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from ritilib.fleet.timezones import check_timezone


def _refuse_silence(said: Any) -> Any:
    """The reason itself; ValueError where it is made of blanks, or only says that there is one."""
    if isinstance(said, bool) or (isinstance(said, str) and not said.strip()):
        raise ValueError("says no reason: write why, in words")
    return said


# Nomad, Consul and Vault take these in names and paths; "--" is kept free because it joins fleet, company and box.
SLUG_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
SLUG_LONGEST = 24  # three joined make a job id that still fits a terminal line
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LONGEST)]
ShortNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
PublicNumber = Annotated[
    str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")
]  # E.164: 15 digits at the most
# No control character, no line separator, and none of the bidirectional embeddings, overrides and isolates that show a
# reviewer other text than stands there (CVE-2021-42574).
PERSON_NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PERSON_NAME_PATTERN)]
# why something is so, for people: one line of text with something in it
Reason = Annotated[
    str, StringConstraints(max_length=200, pattern=PERSON_NAME_PATTERN), BeforeValidator(_refuse_silence)
]
ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9./:_@-]*$", max_length=200)]
# as box-os/boxos/recipe.py has it: three numbers, and what semantic versions may have behind them
VERSION_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,6}){2}([-+~][A-Za-z0-9.]{1,40})?$"
ImageVersion = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
# No credential, no query, nothing that a shell or a URL reads otherwise: a root service on the box takes it.
BUNDLES_PATTERN = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$"
BundlesAddress = Annotated[str, StringConstraints(pattern=BUNDLES_PATTERN, max_length=300)]
CERTIFICATES_PATTERN = r"^(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----\n*)+$"
Certificates = Annotated[str, StringConstraints(pattern=CERTIFICATES_PATTERN)]
EmergencyNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
DAY = "(mon|tue|wed|thu|fri|sat|sun)"
TimeZone = Annotated[str, AfterValidator(check_timezone)]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")]  # of a telephone
Holiday = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
REMOVAL_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*(/[a-z][a-z0-9]*(-[a-z0-9]+)*)?$"
Removal = Annotated[str, StringConstraints(pattern=REMOVAL_PATTERN)]
Codec = Literal["alaw", "ulaw", "g722", "gsm"]  # what both images can speak
Language = Literal["en", "es", "fr", "it", "ru"]  # what the box image can speak
LANGUAGES: tuple[Language, ...] = get_args(Language)
Outside = Literal["none", "national", "international"]
Mac = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}$"),
    AfterValidator(lambda mac: mac.replace(":", "").replace("-", "")),
]
Serial = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,16}$")]  # as a Pi prints it in /proc/cpuinfo
Start = Literal["on-enroll", "on-merge"]  # when a PBX is made
_Slugs = Annotated[tuple[Slug, ...], Field(min_length=1)]
EVERY_OFFICE = "all"


def _list_word(said: Any) -> Any:
    """`all` may stand without its list."""
    return [said] if said == EVERY_OFFICE else said


Offices = Annotated[
    _Slugs,
    BeforeValidator(_list_word, json_schema_input_type=Literal["all"] | _Slugs),  # one union, one error
]

# What stands in a public key's file: kind, key, and a comment that nobody reads
SIGNER_PATTERN = (
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]{40,}={0,2}( [^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+)?$"
)
SignerKey = Annotated[str, StringConstraints(pattern=SIGNER_PATTERN, max_length=1500)]


def _refuse_numbers(said: Any) -> Any:
    """pydantic would take the number 10 for the address 0.0.0.10."""
    if isinstance(said, int | float):
        raise PydanticCustomError("address_type", "input should be an address such as 192.0.2.1")
    return said


Address = Annotated[IPv4Address, BeforeValidator(_refuse_numbers)]
Network = Annotated[IPv4Network, BeforeValidator(_refuse_numbers)]


class Frozen(BaseModel):
    """A value: unknown keys are refused, so that a misspelt wish is never passed over in silence.

    The text below a key is its description in the JSON Schema that editors show (fleet/schema.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
