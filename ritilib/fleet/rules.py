"""The rules that hold across keys and files: each returns every place that breaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import phonenumbers

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.box_image import judge_box_images, judge_bundles
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.controller import judge_controller
from ritilib.fleet.emergency import list_emergencies
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.gateway import judge_gateway
from ritilib.fleet.hours import judge_fleets_own, judge_hours, judge_maintenance, judge_windows
from ritilib.fleet.leads import judge_leads
from ritilib.fleet.lending import judge_lending
from ritilib.fleet.mailboxes import judge_mailboxes
from ritilib.fleet.placement import judge_places
from ritilib.fleet.removals import judge_removals
from ritilib.fleet.settings import inherit_settings
from ritilib.fleet.source import Source, Step
from ritilib.fleet.suspended import judge_suspended
from ritilib.fleet.words import judge_words

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
    # company → name → content of its recorded words
    words: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

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

    A rule (a warning's too) looks at one company with fleet.yaml, at the values of list_unique, or at the sums of
    count_placed, and at nothing else: what was judged once need then not be judged again because another company
    changed (gitops.refresh).
    """
    problems: list[Problem] = []
    for company in sorted(draft.companies.keys() | {key.split("/")[0] for key in draft.boxes}):
        uses = list(_short_numbers(draft, company))
        problems += _find_doubles(uses, f"in company {company}", "number-twice")
        leading, boxes = draft.companies.get(company), list(_boxes_of(draft, company))
        problems += judge_leads(company, leading, boxes, company not in draft.incomplete)
        slugs = {key.split("/")[1]: draft.boxes[key] for key in draft.keys_of(company)}
        problems += judge_lending(slugs, company not in draft.incomplete)
        problems += _judge_emergencies(uses, draft.fleet)
        problems += judge_mailboxes(boxes)
    numbers, serials, macs = list_unique(draft)
    problems += _find_doubles(numbers, "in the fleet", "public-twice")
    problems += _find_doubles(serials, "in the fleet", "serial-twice")
    problems += _find_doubles(macs, "in the fleet", "adapter-twice")
    problems += _find_doubles(list(_places(draft)), "in the fleet", "place-twice")
    for uses in _lighthouses(draft):
        problems += _find_doubles(uses, "in the fleet", "lighthouse-twice")
    problems += _judge_lighthouses(draft)
    problems += _judge_public_numbers(draft)
    problems += _judge_lines(draft)
    problems += _judge_codecs(draft)
    for company, (source, said) in draft.companies.items():
        problems += judge_hours(source, said, said.timezone or draft.fleet.timezone)
        problems += judge_maintenance(draft.fleet, (source, said), _boxes_of(draft, company))
        problems += judge_windows(draft.fleet, (source, said), _boxes_of(draft, company))
        problems += judge_words(source, said, draft.words.get(company, {}))
    problems += judge_fleets_own(draft.source, draft.fleet)
    files = [(draft.source, draft.fleet), *draft.companies.values(), *draft.boxes.values()]
    problems += [problem for source, said in files for problem in judge_suspended(source, said)]
    problems += [problem for source, said in files for problem in judge_bundles(source, said)]
    problems += judge_box_images((draft.source, draft.fleet), draft.companies, draft.boxes)
    problems += judge_places(draft.source, draft.fleet, draft.companies, draft.boxes)
    problems += _judge_adapters(draft)
    problems += judge_removals(draft.source, draft.fleet, draft.companies.keys(), draft.boxes.keys())
    problems += judge_controller(draft.source, draft.fleet.controller)
    problems += judge_gateway(draft.source, draft.fleet.gateway)
    return problems


def list_unique(draft: Draft) -> tuple[list[Use], list[Use], list[Use]]:
    """What companies must not have in common: every public number (a line's too), every serial, every adapter."""
    numbers = [*_public_numbers(draft), *_line_numbers(draft)]
    return numbers, list(_serials(draft)), list(_macs(draft))


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
    for index, group in enumerate(said.groups):
        yield Use(group.number, source, ("groups", index, "number"), "group")
    for index, menu in enumerate(said.menus):
        yield Use(menu.number, source, ("menus", index, "number"), "menu")


def _public_numbers(draft: Draft) -> Iterator[Use]:
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        for index, extension in enumerate(box.extensions):
            if extension.public:
                yield Use(extension.public, source, ("extensions", index, "public"), "public number")


def _line_numbers(draft: Draft) -> Iterator[Use]:
    """Those that are not, as they may be, the public number of an extension of the same office."""
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        owned = {extension.public for extension in box.extensions}
        if box.line and box.line.number not in owned:
            yield Use(box.line.number, source, ("line", "number"), "line")


def _serials(draft: Draft) -> Iterator[Use]:
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        if box.serial:
            yield Use(box.serial, source, ("serial",), "serial")


def _macs(draft: Draft) -> Iterator[Use]:
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        if box.adapter:
            yield Use(box.adapter.mac, source, ("adapter", "mac"), "adapter")


def _places(draft: Draft) -> Iterator[Use]:
    for index, place in enumerate(draft.fleet.places):
        yield Use(place.name, draft.source, ("places", index, "name"), "place")


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


def _judge_emergencies(uses: list[Use], fleet: FleetFile) -> Iterator[Problem]:
    emergencies = list_emergencies(fleet.country, fleet.emergency)
    for use in uses:
        if use.value in emergencies:
            what = f"{use.what} {use.value} is an emergency number in {fleet.country}"
            mend = "take another: nothing may stand before an emergency call"
            yield use.source.problem(use.steps, what, mend, "emergency-number")


def _judge_lighthouses(draft: Draft) -> Iterator[Problem]:
    for index, one in enumerate(draft.fleet.lighthouses):
        if one.address in draft.fleet.overlay:
            what = f"lighthouse {one.name} is at {one.address}, inside the overlay {draft.fleet.overlay}"
            mend = "write the address at which the public network finds it"
            yield draft.source.problem(("lighthouses", index, "address"), what, mend, "lighthouse-in-overlay")


def _judge_public_numbers(draft: Draft) -> Iterator[Problem]:
    for use in (*_public_numbers(draft), *_line_numbers(draft)):
        if not _is_possible(use.value):
            what = f"{use.value} is no possible telephone number"
            yield use.source.problem(use.steps, what, "write it as +, country, number", "impossible-number")


def _judge_lines(draft: Draft) -> Iterator[Problem]:
    """A call that comes in by a line says no number: the line's own number tells whose it is."""
    for key in sorted(draft.boxes):
        source, box = draft.boxes[key]
        owners = {extension.public for extension in box.extensions}
        if box.line and not box.line.rings and box.line.number not in owners:
            what = f"the line's number {box.line.number} is the `public` of no extension of this box"
            mend = "say `public: …` at the extension that rings when somebody calls this line, or `rings: …` here"
            yield source.problem(("line", "number"), what, mend, "line-of-nobody")


def _judge_codecs(draft: Draft) -> Iterator[Problem]:
    """Two offices with no codec in common could call each other and hear nothing."""
    for company, (_, said) in sorted(draft.companies.items()):
        seen: dict[tuple[str, ...], str] = {}  # few boxes of a company differ, so few are compared
        for source, box in _boxes_of(draft, company):
            codecs = inherit_settings(draft.fleet, said, box).codecs
            for others, path in seen.items():
                if not set(codecs) & set(others):
                    what = f"no codec in common with {path} ({', '.join(others)})"
                    mend = "add one of these to `codecs`"
                    yield source.problem(("codecs",), what, mend, "no-common-codec")
            seen.setdefault(codecs, source.path)


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
