"""Removals: what may go over the limit must have been taken out of the fleet's files first."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ritilib.errors import Problem
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.source import Source


def judge_removals(
    source: Source, fleet: FleetFile, companies: Collection[str], boxes: Collection[str]
) -> Iterator[Problem]:
    """A problem for each of fleet.yaml's `removals` that is still there; one that names nothing any more is harmless.

    companies are slugs, boxes keys such as "acme/salto"; lighthouses count as boxes of "lighthouse".
    """
    lighthouses = {f"lighthouse/{one.name}" for one in fleet.lighthouses}
    for index, removal in enumerate(fleet.removals):
        if removal in companies or removal in boxes or removal in lighthouses or removal == "lighthouse":
            what = f"{removal} is to be removed, and these files still hold it"
            mend = "take it out of the fleet's files, or take this line out"
            yield source.problem(("removals", index), what, mend, "removal-still-there")
