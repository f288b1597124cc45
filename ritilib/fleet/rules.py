"""The rules that hold across keys and files: each returns every place that breaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import phonenumbers
from phonenumbers import shortnumberinfo

from ritilib.errors import Problem
from ritilib.fleet.model import BoxFile, CompanyFile, FleetFile
from ritilib.fleet.source import Source, Step

# "lighthouse" is an overlay group and the first part of units; to Nebula's firewall the group "any" is everybody.
RESERVED_COMPANIES = {"any", "lighthouse"}


@dataclass(frozen=True)
class Draft:
    """The files that could be read, before they are known to fit together; keys are slugs, box keys "acme/salto"."""

    source: Source
    fleet: FleetFile
    companies: Mapping[str, tuple[Source, CompanyFile]]
    boxes: Mapping[str, tuple[Source, BoxFile]]
    # companies with a box whose file could not be read: what is missing there may be in that file
    incomplete: frozenset[str] = frozenset()

    @cached_property
    def _keys(self) -> dict[str, list[str]]:
        keys: dict[str, list[str]] = {}
        for key in sorted(self.boxes):
            keys.setdefault(key.split("/")[0], []).append(key)
        return keys

    def keys_of(self, company: str) -> list[str]:
        """The company's box keys, sorted."""
        return self._keys.get(company, [])


@dataclass(frozen=True)
class Use:
    """One place where a number or serial stands."""

    value: str
    source: Source
    steps: tuple[Step, ...]
    what: str

    @property
    def place(self) -> str:
        return f"{self.source.path}:{self.source.locate(self.steps)[0]}"


def judge(draft: Draft) -> list[Problem]:
    """Every problem that the files have together; [] where they can be rendered.

    A rule (a warning's too) looks at one company with fleet.yaml, or at the values of list_unique, and at nothing
    else: what was judged once need then not be judged again because another company changed.
    """
    problems: list[Problem] = []
    for company in sorted(draft.companies.keys() | {key.split("/")[0] for key in draft.boxes}):
        uses = list(_short_numbers(draft, company))
        problems += _find_doubles(uses, f"in company {company}", "number-twice")
        problems += _judge_routes(draft, company)
        problems += _judge_emergencies(uses, draft.fleet.country)
    numbers, serials = list_unique(draft)
    problems += _find_doubles(numbers, "in the fleet", "public-twice")
    problems += _find_doubles(serials, "in the fleet", "serial-twice")
    for uses in _lighthouses(draft):
        problems += _find_doubles(uses, "in the fleet", "lighthouse-twice")
    problems += _judge_lighthouses(draft)
    problems += _judge_public_numbers(draft)
    problems += _judge_adapters(draft)
    return problems


def list_unique(draft: Draft) -> tuple[list[Use], list[Use]]:
    """What companies must not have in common: every public number, every serial."""
    return list(_public_numbers(draft)), list(_serials(draft))


def _boxes_of(draft: Draft, company: str) -> Iterator[tuple[Source, BoxFile]]:
    for key in draft.keys_of(company):
        yield draft.boxes[key]


def _short_numbers(draft: Draft, company: str) -> Iterator[Use]:
    for source, box in _boxes_of(draft, company):
        for index, extension in enumerate(box.extensions):
            yield Use(extension.number, source, ("extensions", index, "number"), "extension")
    if company not in draft.companies:
        return
    source, said = draft.companies[company]
    for index, route in enumerate(said.routes):
        yield Use(route.number, source, ("routes", index, "number"), "route")


def _public_numbers(draft: Draft) -> Iterator[Use]:
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        for index, extension in enumerate(box.extensions):
            if extension.public:
                yield Use(extension.public, source, ("extensions", index, "public"), "public number")


def _serials(draft: Draft) -> Iterator[Use]:
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        if box.serial:
            yield Use(box.serial, source, ("serial",), "serial")


def _lighthouses(draft: Draft) -> tuple[list[Use], list[Use]]:
    """Their names, and the places where the public network finds them."""
    names, places = [], []
    for index, one in enumerate(draft.fleet.lighthouses):
        steps: tuple[Step, ...] = ("lighthouses", index, "name")
        names.append(Use(one.name, draft.source, steps, "lighthouse"))
        steps = ("lighthouses", index, "address")
        places.append(Use(f"{one.address}:{one.port}", draft.source, steps, "lighthouse at"))
    return names, places


def _find_doubles(uses: list[Use], where: str, rule: str) -> Iterator[Problem]:
    first: dict[str, Use] = {}
    for use in uses:
        other = first.setdefault(use.value, use)
        if other is not use:
            what = f"{use.what} {use.value} is twice {where}: also at {other.place}"
            yield use.source.problem(use.steps, what, "give one of them another", rule)


def _judge_routes(draft: Draft, company: str) -> Iterator[Problem]:
    if company not in draft.companies or company in draft.incomplete:
        return
    known = {extension.number for _, box in _boxes_of(draft, company) for extension in box.extensions}
    source, said = draft.companies[company]
    for index, route in enumerate(said.routes):
        if route.to not in known:
            what = f"route {route.number} leads to {route.to}, which is no extension of {company}"
            mend = "name one of the company's extensions, or add that extension to a box"
            yield source.problem(("routes", index, "to"), what, mend, "route-to-nowhere")


def _judge_emergencies(uses: list[Use], country: str) -> Iterator[Problem]:
    for use in uses:
        if shortnumberinfo.is_emergency_number(use.value, country):
            what = f"{use.what} {use.value} is an emergency number in {country}"
            mend = "take another: nothing may stand before an emergency call"
            yield use.source.problem(use.steps, what, mend, "emergency-number")


def _judge_lighthouses(draft: Draft) -> Iterator[Problem]:
    for index, one in enumerate(draft.fleet.lighthouses):
        if one.address in draft.fleet.overlay:
            what = f"lighthouse {one.name} is at {one.address}, inside the overlay {draft.fleet.overlay}"
            mend = "write the address at which the public network finds it"
            yield draft.source.problem(("lighthouses", index, "address"), what, mend, "lighthouse-in-overlay")


def _judge_public_numbers(draft: Draft) -> Iterator[Problem]:
    for use in _public_numbers(draft):
        if not _is_possible(use.value):
            what = f"{use.value} is no possible telephone number"
            yield use.source.problem(use.steps, what, "write it as +, country, number", "impossible-number")


def _is_possible(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False  # no country has this code


def _judge_adapters(draft: Draft) -> Iterator[Problem]:
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        behind = [index for index, extension in enumerate(box.extensions) if extension.phone == "adapter"]
        for index in behind[1:]:
            what = "a second extension on the adapter, which has one FXS port"
            mend = "say `phone: sip`, or move it to another box"
            yield source.problem(("extensions", index), what, mend, "second-on-adapter")
