"""Placement: each box's PBX at a place that the fleet has, and no place with more than it carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.settings import inherit_settings
from ritilib.fleet.source import Source


def judge_places(
    source: Source,
    fleet: FleetFile,
    companies: Mapping[str, tuple[Source, CompanyFile]],
    boxes: Mapping[str, tuple[Source, BoxFile]],
) -> Iterator[Problem]:
    """A problem for each place that nobody knows, where it is said, and for each that carries too many."""
    known = {place.name for place in fleet.places}
    mend = "name one of fleet.yaml's `places`, or add this one there with the number of boxes that it carries"
    levels = [(source, fleet.place), *((where, one.place) for where, one in companies.values())]
    levels += [(where, box.place) for where, box in boxes.values()]
    for where, said in levels:
        if said is not None and said not in known:
            what = f"`place` {said} is none of the fleet's places"
            yield where.problem(("place",), what, mend, "unknown-place")
    counts = count_placed(fleet, companies, boxes)
    for index, place in enumerate(fleet.places):
        if counts[place.name] > place.boxes:
            what = f"{counts[place.name]} boxes are placed at {place.name}, which carries {place.boxes}"
            more = "add clients there and say so here, or place some boxes elsewhere"
            yield source.problem(("places", index, "boxes"), what, more, "place-full")


def count_placed(
    fleet: FleetFile,
    companies: Mapping[str, tuple[Source, CompanyFile]],
    boxes: Mapping[str, tuple[Source, BoxFile]],
) -> Counter[str | None]:
    """place → how many boxes have their PBX there; None: wherever Nomad finds room."""
    counts: Counter[str | None] = Counter()
    for key, (_, box) in boxes.items():
        company = companies.get(key.split("/")[0])
        if company:
            counts[inherit_settings(fleet, company[1], box).place] += 1
    return counts
