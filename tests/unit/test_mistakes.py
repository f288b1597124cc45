"""Planted mistakes: each folder of mistakes/ is laid over mistakes/clean, and is found at its line, and nothing else.

expected.json names file, line and rule of every error (or, where there is none, of every warning), and the files of
the clean fleet that are taken away.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from ritilib.errors import FleetError, Problem
from ritilib.fleet.load import load_fleet
from ritilib.gitops.worktree import read_fleet_files

HERE = Path(__file__).parent / "mistakes"
FLEET_CODE = Path(__file__).parents[2] / "ritilib/fleet"
CASES = sorted(path.parent.name for path in HERE.glob("*/expected.json"))


def read_case(case: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    expected = json.loads((HERE / case / "expected.json").read_text(encoding="utf-8"))
    files = read_fleet_files(HERE / "clean")
    for path in expected.get("removed", ()):
        del files[path]
    if (HERE / case / "fleet").is_dir():
        files |= read_fleet_files(HERE / case)
    return files, expected


def find_problems(files: dict[str, bytes]) -> tuple[Problem, ...]:
    try:
        return load_fleet(files).warnings
    except FleetError as error:
        return error.problems


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
    assert {path.name for path in HERE.iterdir()} == {*CASES, "clean"}


def test_the_clean_fleet_has_no_problem_and_no_warning() -> None:
    loaded = load_fleet(read_fleet_files(HERE / "clean"))
    assert loaded.warnings == ()
    assert len(loaded.fleet.companies) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"\n", b"\r\n"), (b"", b"\xef\xbb\xbf"), (b"", b"---\n"), (b"    ", b"        "), (b'"', b"'")],
    ids=["carriage returns", "a byte order mark", "three dashes", "wide indents", "single quotes"],
)
def test_a_habit_is_no_mistake(old: bytes, new: bytes) -> None:
    files = read_fleet_files(HERE / "clean")
    changed = {
        path: content.replace(old, new, -1 if old else 1) if path.endswith(".yaml") else content
        for path, content in files.items()
    }
    assert changed != files
    if new == b"        ":  # the dashes go with their keys
        changed = {path: content.replace(b"  - ", b"      - ") for path, content in changed.items()}
    assert load_fleet(changed).fleet == load_fleet(files).fleet
    assert find_problems(changed) == ()


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_found_where_it_is_and_nothing_else(case: str) -> None:
    files, expected = read_case(case)
    problems = find_problems(files)
    found = [(problem.severity, problem.file, problem.line, problem.rule) for problem in problems]
    wanted = [
        (severity, one["file"], one["line"], one["rule"])
        for severity, key in (("error", "errors"), ("warning", "warnings"))
        for one in expected.get(key, ())
    ]
    assert sorted(found) == sorted(wanted), "\n".join(map(str, problems))
    for problem in problems:
        assert problem.what and problem.mend
        lines = files.get(problem.file, b"").decode("utf-8", "replace").split("\n")
        assert problem.line <= len(lines)
        if problem.line:
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


# Function that makes a problem → which of its arguments is the rule.
RULE_PLACES = {"Problem": 5, "problem": 3, "warning": 3, "Refusal": 2, "_find_doubles": 2}
# Rules of commands and of pydantic's error types, which no file of a case can break or no constant names.
NOT_IN_FILES = {"box-name", "box-exists", "still-suspended", "other-serial"}
OF_PYDANTIC = {"missing-key", "wrong-form", "wrong-size", "wrong-type", "wrong-value"}


def list_rules() -> set[str]:
    """Every rule that ritilib/fleet names where it makes a problem."""
    rules = set()
    for path in sorted(FLEET_CODE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in RULE_PLACES:
                continue
            given = [one.value for one in node.keywords if one.arg == "rule"]
            given += node.args[RULE_PLACES[name] :][:1]
            assert given, f"{path.name}:{node.lineno}: a problem without its rule"
            rules |= {one.value for one in given if isinstance(one, ast.Constant)}
    return rules


def test_every_problem_has_its_rule_and_every_rule_a_planted_mistake() -> None:
    planted = {
        one["rule"]
        for case in CASES
        for key in ("errors", "warnings")
        for one in read_case(case)[1].get(key, ())
    }
    rules = list_rules()
    assert len(rules) > 30
    assert planted == rules - NOT_IN_FILES | OF_PYDANTIC
