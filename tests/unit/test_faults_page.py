"""docs/faults.md has each row of the matrix with its tests, and no other."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults.rows import ROWS

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\| (?P<row>[^|]+?) \| [^|]+ \| [^|]+ \| (?P<tests>[^|]+) \|")


def list_told() -> Iterator[tuple[str, str]]:
    """(row, test or file of tests) of the page's tables."""
    for line in (ROOT / "docs/faults.md").read_text().splitlines():
        match = LINE.fullmatch(line)
        if match and match["row"] not in ("row", "---"):
            yield from ((match["row"], test) for test in re.findall(r"`(test_\w+)`", match["tests"]))


def list_marked() -> Iterator[tuple[str, str, str]]:
    """(row, test, file) of the tests that bear a row's mark, those of single parameters too."""
    for path in sorted((ROOT / "tests/faults").glob("test_*.py")):
        module = importlib.import_module(f"tests.faults.{path.stem}")
        for name, test in vars(module).items():
            if not (name.startswith("test_") and test.__module__ == module.__name__):
                continue
            marks = list(getattr(test, "pytestmark", ()))
            given = [mark.args[1] for mark in marks if mark.name == "parametrize"]
            marks += [mark for values in given for one in values for mark in getattr(one, "marks", ())]
            yield from (
                (row, name, path.stem) for row in {mark.args[0] for mark in marks if mark.name == "row"}
            )


def test_the_page_has_just_the_tests_that_there_are() -> None:
    """Each by its own name, or all of a file by the file's."""
    told, marked = set(list_told()), list(list_marked())
    untold = [one for one in marked if not {one[:2], (one[0], one[2])} & told]
    assert untold == []
    known = {(row, name) for row, test, file in marked for name in (test, file)}
    assert told - known == set()


def test_the_page_has_the_rows_in_their_order() -> None:
    told = list(dict.fromkeys(row for row, _ in list_told()))
    assert told == [row for row in ROWS if row in told]


def test_every_row_has_a_test() -> None:
    assert {row for row, *_ in list_marked()} == set(ROWS)
