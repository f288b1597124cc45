"""docs/faults.md has each row of the matrix with its tests, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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
    """(row, test) of the tests that bear a row's mark."""
    for path in sorted((ROOT / "tests/faults").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                        yield ast.literal_eval(mark.args[0]), node.name


def test_the_page_has_just_the_tests_that_there_are() -> None:
    assert sorted(list_told()) == sorted(list_marked())


def test_the_page_has_the_rows_in_their_order() -> None:
    told = list(dict.fromkeys(row for row, _ in list_told()))
    assert told == [row for row in ROWS if row in told]
