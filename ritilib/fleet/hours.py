"""Hours of a company, maintenance and windows of its boxes: none backwards or without a time zone; routes' hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.inherited import Settings
from ritilib.fleet.source import Source, Step
from ritilib.fleet.stretch import Stretch

_ZONE = "add `timezone: Area/City` to the company's file, or to fleet.yaml for all"
_MAINTENANCE, _WINDOWS = ("maintenance",), ("sync", "windows")  # where the stretches stand in a file


def judge_hours(source: Source, said: CompanyFile, timezone: str | None) -> Iterator[Problem]:
    """Every place where a company's file has hours that cannot be kept; timezone is the one in force."""
    for name, stretches in said.hours.items():
        yield from judge_stretches(source, ("hours", name), stretches)
    if said.hours and timezone is None:
        what = "hours of a company without a `timezone`"
        yield source.problem(("hours",), what, _ZONE, "hours-without-zone")
    for index, route in enumerate(said.routes):
        steps: tuple[Step, ...] = ("routes", index)
        if (route.hours is None) != (route.closed is None):
            what = f"route {route.number} has `{'closed' if route.closed else 'hours'}` alone"
            yield source.problem(
                steps, what, "say both: when it is open, and who rings else", "hours-by-half"
            )
        if route.hours is not None and route.hours not in said.hours:
            known = ", ".join(said.hours) or "none yet"
            what = f"route {route.number} has the hours `{route.hours}`, which {said.name} has not"
            mend = f"name one of its `hours` ({known}), or add these"
            yield source.problem((*steps, "hours"), what, mend, "unknown-hours")


def judge_maintenance(
    fleet: FleetFile, company: tuple[Source, CompanyFile], boxes: Iterable[tuple[Source, BoxFile]]
) -> Iterator[Problem]:
    """The same for the maintenance of a company and its boxes; fleet.yaml's own stretches are judged by themselves."""
    offices = (company, *boxes)
    yield from _judge_weekly(fleet, offices, _MAINTENANCE, "maintenance-without-zone")


def judge_windows(
    fleet: FleetFile, company: tuple[Source, CompanyFile], boxes: Iterable[tuple[Source, BoxFile]]
) -> Iterator[Problem]:
    """The same for the windows in which changes are applied to them."""
    offices = (company, *boxes)
    yield from _judge_weekly(fleet, offices, _WINDOWS, "windows-without-zone")


def judge_fleets_own(source: Source, fleet: FleetFile) -> Iterator[Problem]:
    """The maintenance and the windows of fleet.yaml; the windows hold for its lighthouses too, which need its zone."""
    yield from judge_stretches(source, _MAINTENANCE, fleet.maintenance or ())
    yield from judge_stretches(source, _WINDOWS, fleet.sync.windows or ())
    if fleet.sync.windows and fleet.timezone is None:
        what = "`sync.windows` of a fleet without a `timezone`"
        mend = "add `timezone: Area/City` to fleet.yaml: the lighthouses keep these windows too"
        yield source.problem(_WINDOWS, what, mend, "windows-without-zone")


def _judge_weekly(
    fleet: FleetFile, offices: Sequence[tuple[Source, Settings]], steps: tuple[str, ...], rule: str
) -> Iterator[Problem]:
    """What is wrong with the stretches at steps of a company's file, the first of offices, and of its boxes' files."""
    (source, company), *_ = offices
    assert isinstance(company, CompanyFile)
    unzoned, key = (company.timezone or fleet.timezone) is None, ".".join(steps)
    what = f"`{key}` without a `timezone`"
    if unzoned and _read_stretches(company, steps) is None and _read_stretches(fleet, steps):
        inherited = f"{company.name} inherits fleet.yaml's `{key}`, and has no `timezone`"
        yield source.problem(("name",), inherited, _ZONE, rule)
    for where, one in offices:
        stretches = _read_stretches(one, steps)
        yield from judge_stretches(where, steps, stretches or ())
        if unzoned and stretches:
            yield where.problem(steps, what, _ZONE, rule)


def _read_stretches(level: Settings, steps: tuple[str, ...]) -> tuple[Stretch, ...] | None:
    return level.maintenance if steps == _MAINTENANCE else level.sync.windows


def judge_stretches(
    source: Source, steps: tuple[Step, ...], stretches: Iterable[Stretch]
) -> Iterator[Problem]:
    """A problem for each stretch, of the list at steps, that ends before it begins."""
    for index, stretch in enumerate(stretches):
        if stretch.from_ >= stretch.to:
            what = f"{stretch.days} ends at {stretch.to}, and begins at {stretch.from_}"
            mend = "a night is two stretches: one until 24:00, one from 00:00"
            yield source.problem((*steps, index), what, mend, "hours-backwards")
