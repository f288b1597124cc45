"""Lending: which offices may call out by whose line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.kinds import EVERY_OFFICE
from ritilib.fleet.source import Source


def judge_lending(boxes: Mapping[str, tuple[Source, BoxFile]], complete: bool = True) -> Iterator[Problem]:
    """A problem for each word of a `lent_to` that names nobody; boxes: slug → file, those of one company.

    complete False: a box's file could not be read, and what nobody knows may be that box.
    """
    for slug, (source, box) in boxes.items():
        lent_to = (box.line.lent_to or ()) if box.line else ()
        for index, name in enumerate(lent_to):
            steps = ("line", "lent_to", index)
            if name == slug:
                mend = "remove it: a line is its own office's to use"
                yield source.problem(steps, "the line is lent to its own office", mend, "lent-to-itself")
            elif name in lent_to[:index]:
                yield source.problem(steps, f"the line is lent to {name} twice", "remove one", "lent-twice")
            elif name not in boxes and name != EVERY_OFFICE and complete:
                what = f"the line is lent to {name}, which is no office of the company"
                mend = "name an office by its file, without .yaml: a line is lent inside its company"
                yield source.problem(steps, what, mend, "lent-to-nobody")


def list_borrowers(slug: str, box: BoxFile, offices: Mapping[str, object]) -> tuple[str, ...]:
    """The offices (slugs, sorted) that may call out by the line of the box `slug`; offices: the company's."""
    lent_to = (box.line.lent_to or ()) if box.line else ()
    named = offices if EVERY_OFFICE in lent_to else lent_to
    return tuple(sorted(name for name in named if name != slug))
