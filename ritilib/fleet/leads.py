"""Where one number of a company leads to another (routes, groups, menus, forwards): somewhere, and to an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.source import Source, Step

# conditions of an extension's `forward`
CONDITIONS = ("always", "busy", "unanswered")


@dataclass(frozen=True)
class Lead:
    """`number` leads to `to`; kind is "route", "group", "menu", "forward" or "line".

    is_onward: the call is led on, to any number of the company; else a telephone is rung, an extension's.
    is_chosen: by a person, who presses a key for it.
    """

    number: str
    to: str
    kind: str
    source: Source
    steps: tuple[Step, ...]
    is_onward: bool = True
    is_chosen: bool = False


def judge_leads(
    company: str,
    said: tuple[Source, CompanyFile] | None,
    boxes: Iterable[tuple[Source, BoxFile]],
    complete: bool = True,
) -> list[Problem]:
    """A problem for each lead to nowhere, and for each circle, told once, at its first lead.

    complete False: a file of the company could not be read, and what a lead leads to may stand there.
    """
    boxes = list(boxes)
    extensions = {extension.number for _, box in boxes for extension in box.extensions}
    others = _list_others(said[1]) if said else set()
    leads = [*(_list_company(said) if said else ()), *_list_boxes(boxes)]
    problems = []
    for lead in leads:
        known = extensions | others if lead.is_onward else extensions
        if lead.to not in known and complete and said:
            wanted = "extension, group, route or menu" if lead.is_onward else "extension"
            what = f"{lead.kind} {lead.number} leads to {lead.to}, which is no {wanted} of {company}"
            mend = "name one of the company's numbers, or add that one"
            problems.append(lead.source.problem(lead.steps, what, mend, "leads-nowhere"))
    return [*problems, *_find_circles(leads)]


def _list_others(said: CompanyFile) -> set[str]:
    """The numbers of a company that are no telephone's."""
    numbers = {route.number for route in said.routes} | {group.number for group in said.groups}
    return numbers | {menu.number for menu in said.menus}


def _list_company(said: tuple[Source, CompanyFile]) -> Iterator[Lead]:
    source, company = said
    for index, route in enumerate(company.routes):
        yield Lead(route.number, route.to, "route", source, ("routes", index, "to"))
        if route.closed:
            yield Lead(route.number, route.closed, "route", source, ("routes", index, "closed"))
    for index, group in enumerate(company.groups):
        for place, number in enumerate(group.rings):
            yield Lead(group.number, number, "group", source, ("groups", index, "rings", place), False)
        if group.then:
            yield Lead(group.number, group.then, "group", source, ("groups", index, "then"))
    for index, menu in enumerate(company.menus):
        for key, number in menu.choices.items():
            chosen: tuple[Step, ...] = ("menus", index, "choices", key)
            yield Lead(menu.number, number, "menu", source, chosen, is_chosen=True)
        yield Lead(menu.number, menu.else_, "menu", source, ("menus", index, "else"))


def _list_boxes(boxes: Iterable[tuple[Source, BoxFile]]) -> Iterator[Lead]:
    for source, box in boxes:
        if box.line and box.line.rings:
            yield Lead(box.line.number, box.line.rings, "line", source, ("line", "rings"))
        for index, extension in enumerate(box.extensions):
            for condition in CONDITIONS:
                to = getattr(extension.forward, condition)
                if to:
                    steps: tuple[Step, ...] = ("extensions", index, "forward", condition)
                    yield Lead(extension.number, to, "forward", source, steps)


def _find_circles(leads: list[Lead]) -> Iterator[Problem]:
    """A call that is led in a circle would never end. What a group rings is not led on, so it makes none.

    A menu waits for a person: a circle through one of its choices ends when that person wants it to.
    """
    onward = {(lead.number, lead.to): lead for lead in leads if lead.is_onward and not lead.is_chosen}
    while circle := _find_circle(onward):
        lead = onward.pop((circle[0], circle[1]))
        what = f"{lead.kind} {lead.number} leads back to itself: {' → '.join(circle)}"
        mend = "let one of them lead elsewhere, or nowhere"
        yield lead.source.problem(lead.steps, what, mend, "leads-in-circle")


def _find_circle(onward: Iterable[tuple[str, str]]) -> list[str]:
    """The numbers of one circle, the first again at the end; [] where there is none."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for number, to in onward:
        sorter.add(number, to)
    try:
        sorter.prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]  # it names what is led to first
    return []
