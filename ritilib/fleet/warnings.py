"""What may be meant so, and seldom is: a warning stops nothing, but a person should look once."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import phonenumbers

from ritilib.errors import Problem
from ritilib.fleet.mailboxes import warn_of_mailboxes
from ritilib.fleet.rules import Draft
from ritilib.fleet.settings import inherit_settings
from ritilib.fleet.source import Source, Step
from ritilib.fleet.words import find_unused

# What the routers of small offices give out as they come out of their boxes.
_OFFICE_NETWORK = IPv4Network("192.168.0.0/16")
LONGEST_CERTIFIED = 64  # RFC 5280, ub-common-name-length
_FEWEST_LIGHTHOUSES = 2  # DESIGN, The overlay: without one no new tunnel is made


def find_warnings(draft: Draft) -> Iterator[Problem]:
    """Every warning about files that have no error; each with its place, its mend and severity "warning"."""
    yield from _judge_overlay(draft)
    yield from _judge_lighthouses(draft)
    yield from _judge_companies(draft)
    yield from _judge_lending(draft)
    for company, (_, said) in draft.companies.items():
        boxes = (draft.boxes[key] for key in draft.keys_of(company))
        yield from warn_of_mailboxes(boxes, said.timezone or draft.fleet.timezone)
    yield from _judge_names(draft)
    for source, box in draft.boxes.values():
        for index, extension in enumerate(box.extensions):
            if extension.public:
                steps: tuple[Step, ...] = ("extensions", index, "public")
                yield from _judge_public_number(source, steps, extension.public, draft.fleet.country)


def _judge_names(draft: Draft) -> Iterator[Problem]:
    """A box whose name has no room in a certificate cannot enroll."""
    for key, (source, _) in draft.boxes.items():
        unit = f"{draft.fleet.name}--{key.replace('/', '--')}"
        if len(unit) > LONGEST_CERTIFIED:
            what = (
                f"the name {unit} has {len(unit)} letters, and a certificate has room for {LONGEST_CERTIFIED}"
            )
            mend = "shorten the fleet's, the company's or the office's name: this box cannot enroll"
            yield source.warning((), what, mend, "unit-name-too-long")


def _judge_overlay(draft: Draft) -> Iterator[Problem]:
    overlay = draft.fleet.overlay
    if overlay.is_global:
        what = f"the overlay {overlay} is made of addresses of the Internet"
        mend = "take a part of 100.64.0.0/10: what is in the overlay cannot be reached outside it any more"
        yield draft.source.warning(("overlay",), what, mend, "public-overlay")
    if overlay.overlaps(_OFFICE_NETWORK):
        what = f"the overlay {overlay} meets {_OFFICE_NETWORK}, which most offices use inside"
        mend = "take a part of 100.64.0.0/10, which is not used in offices"
        yield draft.source.warning(("overlay",), what, mend, "office-overlay")


def _judge_lighthouses(draft: Draft) -> Iterator[Problem]:
    lighthouses = draft.fleet.lighthouses
    if len(lighthouses) >= _FEWEST_LIGHTHOUSES and len({one.address for one in lighthouses}) == 1:
        names = ", ".join(one.name for one in lighthouses)
        what = f"the lighthouses {names} are all at {lighthouses[0].address}: what ends one of them ends all"
        mend = "give one of them an address in another place"
        yield draft.source.warning(("lighthouses", 1, "address"), what, mend, "lighthouses-together")
    if len(lighthouses) < _FEWEST_LIGHTHOUSES:
        what = "one lighthouse only: while it is away, no box and no PBX finds another"
        mend = "have a second one in another place"
        yield draft.source.warning(("lighthouses",), what, mend, "one-lighthouse")


def _judge_companies(draft: Draft) -> Iterator[Problem]:
    inhabited = {key.split("/")[0] for key in draft.boxes}
    for company, (source, said) in draft.companies.items():
        if company not in inhabited:
            what = f"company {company} has no box"
            mend = f"add fleet/boxes/{company}/<box>.yaml (`riti box add`), or remove the company's file"
            yield source.warning((), what, mend, "company-without-box")
        yield from find_unused(company, said, draft.words.get(company, {}))


def _judge_lending(draft: Draft) -> Iterator[Problem]:
    for key, (source, box) in draft.boxes.items():
        company = key.split("/")[0]
        for index, name in enumerate((box.line.lent_to or ()) if box.line else ()):
            borrower = draft.boxes.get(f"{company}/{name}")
            if borrower is None:
                continue  # all
            if inherit_settings(draft.fleet, draft.companies[company][1], borrower[1]).outside == "none":
                what = f"the line is lent to {name}, whose telephones may not call outside"
                mend = f"let {name} call outside (`calls: {{outside: national}}`), or lend it nothing"
                yield source.warning(("line", "lent_to", index), what, mend, "lent-in-vain")


def _judge_public_number(
    source: Source, steps: tuple[Step, ...], number: str, country: str
) -> Iterator[Problem]:
    parsed = phonenumbers.parse(number)
    if parsed.country_code != phonenumbers.country_code_for_region(country):
        what = f"public number {number} is not of {country}, the fleet's country"
        mend = "look at the digits after the +; leave it where the office is abroad"
        yield source.warning(steps, what, mend, "foreign-number")
    elif not phonenumbers.is_valid_number(parsed):
        what = f"public number {number} has the right length, but nobody has such a number in {country}"
        mend = "look for a mistyped area code; leave it where the number is newer than RITI's numbering plan"
        yield source.warning(steps, what, mend, "unassigned-number")
