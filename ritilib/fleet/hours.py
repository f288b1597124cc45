"""Hours of a company, maintenance and windows of its boxes: none backwards or without a time zone; routes' hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.source import Source, Step
from ritilib.fleet.stretch import Stretch

_ZONE = "add `timezone: Area/City` to the company's file, or to fleet.yaml for all"
_WINDOWS = ("sync", "windows")


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
    source, said = company
    unzoned = (said.timezone or fleet.timezone) is None
    what = "`maintenance` without a `timezone`"
    if unzoned and said.maintenance is None and fleet.maintenance:
        inherited = f"{said.name} inherits fleet.yaml's `maintenance`, and has no `timezone`"
        yield source.problem(("name",), inherited, _ZONE, "maintenance-without-zone")
    for where, one in (company, *boxes):
        yield from judge_stretches(where, ("maintenance",), one.maintenance or ())
        if unzoned and one.maintenance:
            yield where.problem(("maintenance",), what, _ZONE, "maintenance-without-zone")


def judge_windows(
    fleet: FleetFile, company: tuple[Source, CompanyFile], boxes: Iterable[tuple[Source, BoxFile]]
) -> Iterator[Problem]:
    """The same for the windows in which changes of Git are applied to them."""
    unzoned = (company[1].timezone or fleet.timezone) is None
    for where, one in (company, *boxes):
        yield from judge_stretches(where, _WINDOWS, one.sync.windows or ())
        if unzoned and one.sync.windows:
            what = "`sync.windows` without a `timezone`"
            yield where.problem(_WINDOWS, what, _ZONE, "windows-without-zone")


def judge_fleets_own(source: Source, fleet: FleetFile) -> Iterator[Problem]:
    """The maintenance and the windows of fleet.yaml; the windows hold for its lighthouses too, which need its zone."""
    yield from judge_stretches(source, ("maintenance",), fleet.maintenance or ())
    yield from judge_stretches(source, _WINDOWS, fleet.sync.windows or ())
    if fleet.sync.windows and fleet.timezone is None:
        what = "`sync.windows` of a fleet without a `timezone`"
        mend = "add `timezone: Area/City` to fleet.yaml: the lighthouses keep these windows too"
        yield source.problem(_WINDOWS, what, mend, "windows-without-zone")


def judge_stretches(
    source: Source, steps: tuple[Step, ...], stretches: Iterable[Stretch]
) -> Iterator[Problem]:
    """A problem for each stretch, of the list at steps, that ends before it begins."""
    for index, stretch in enumerate(stretches):
        if stretch.from_ >= stretch.to:
            what = f"{stretch.days} ends at {stretch.to}, and begins at {stretch.from_}"
            mend = "a night is two stretches: one until 24:00, one from 00:00"
            yield source.problem((*steps, index), what, mend, "hours-backwards")
