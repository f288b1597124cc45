"""docs/faults.md has each row of the matrix with its tests, and no other."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.faults.rows import ROWS

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\| (?P<row>[^|]+?) \| [^|]+ \| [^|]+ \| (?P<tests>[^|]+) \|")


def list_told() -> Iterator[tuple[str, str]]:
    """(row, test) of the page's tables."""
    for line in (ROOT / "docs/faults.md").read_text().splitlines():
        match = LINE.fullmatch(line)
        if match and match["row"] not in ("row", "---"):
            yield from ((match["row"], test) for test in re.findall(r"`(test_\w+)`", match["tests"]))


def list_marked() -> Iterator[tuple[str, str]]:
    """(row, test) of the tests that bear a row's mark, for some of their parameters at the least."""
    for path in sorted((ROOT / "tests/faults").glob("test_*.py")):
        module = importlib.import_module(f"tests.faults.{path.stem}")
        for name, held in vars(module).items():
            if name.startswith("test_"):
                yield from ((row, name) for row in sorted(set(list_rows(getattr(held, "pytestmark", ())))))


def list_rows(marks: Iterable[pytest.Mark]) -> Iterator[str]:
    """The rows of a test's marks, and of those that its parameters bear."""
    for mark in marks:
        if mark.name == "row":
            yield mark.args[0]
        elif mark.name == "parametrize":
            for one in mark.args[1]:
                yield from list_rows(
                    getattr(each, "mark", each)  # a decorator holds its mark
                    for each in getattr(one, "marks", ())
                )


def test_the_page_has_just_the_tests_that_there_are() -> None:
    assert sorted(list_told()) == sorted(list_marked())


def test_the_page_has_the_rows_in_their_order() -> None:
    told = list(dict.fromkeys(row for row, _ in list_told()))
    assert told == [row for row in ROWS if row in told]
