"""The hours of a company: each route that has some knows which, who rings outside them, and in which time zone."""

from __future__ import annotations

from collections.abc import Iterator

from ritilib.errors import Problem
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.source import Source, Step


def judge_hours(source: Source, said: CompanyFile, timezone: str | None) -> Iterator[Problem]:
    """Every place where a company's file has hours that cannot be kept; timezone is the one in force."""
    for name, stretches in said.hours.items():
        for index, stretch in enumerate(stretches):
            if stretch.from_ >= stretch.to:
                steps: tuple[Step, ...] = ("hours", name, index)
                what = f"{stretch.days} ends at {stretch.to}, and begins at {stretch.from_}"
                mend = "a night is two stretches: one until 24:00, one from 00:00"
                yield source.problem(steps, what, mend, "hours-backwards")
    if said.hours and timezone is None:
        mend = "add `timezone: Area/City` here, or to fleet.yaml for all"
        yield source.problem(
            ("hours",), "hours of a company without a `timezone`", mend, "hours-without-zone"
        )
    for index, route in enumerate(said.routes):
        steps = ("routes", index)
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
