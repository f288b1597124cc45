"""The fault matrix: one stack for all rows, a witness for each, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from ritilib.devstack import stack as stacks
from tests.faults.lab import OFFICES, Lab, hold_lab
from tests.faults.matrix import collect, write_table
from tests.faults.rows import ROWS
from tests.faults.witness import Witness, watch
from tests.integration.fleets import Fleet
from tests.integration.stacks import hold_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write each test's row into its reports; a row that the matrix does not have is a mistake."""
    for item in items:
        for mark in item.iter_markers("row"):
            if mark.args[0] not in ROWS:
                raise pytest.UsageError(f"{item.nodeid}: tests/faults/rows.py has no row `{mark.args[0]}`")
            item.user_properties.append(("row", mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The matrix, where any of its rows ran."""
    words = {"passed": "passed", "failed": "failed", "error": "failed", "": ""}
    rows = collect(
        (words[outcome], dict(report.user_properties))
        for outcome, reports in terminalreporter.stats.items()
        if outcome in words
        for report in reports
        if isinstance(report, pytest.TestReport)
        # what the witness found is told once, when the test's fixtures are taken down
        and (report.when == "teardown" or outcome)
    )
    if rows:
        terminalreporter.section("fault matrix")
        for line in write_table(rows):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    """A stack that is up, and also runs stand-ins (raw_exec); it goes down after the last test."""
    with hold_stack(tmp_path_factory.mktemp("stack"), ("docker", "raw_exec")) as made:
        yield made


@pytest.fixture(scope="session")
def env(stack: stacks.Stack) -> dict[str, str]:
    """NOMAD_ADDR, NOMAD_TOKEN and the like: management tokens."""
    return stack.environment()


@pytest.fixture
def lab(stack: stacks.Stack, tmp_path: Path) -> Iterator[Lab]:
    """Five offices of two companies."""
    with hold_lab(stack, tmp_path, OFFICES) as made:
        yield made


@pytest.fixture
def fleets(lab: Lab) -> tuple[Fleet, ...]:
    """What the witness watches, where a module says nothing else."""
    return (lab.fleet,)


@pytest.fixture
def witness(
    request: pytest.FixtureRequest, env: dict[str, str], fleets: tuple[Fleet, ...]
) -> Iterator[Witness]:
    """Watches the whole row and fails it by what it finds."""
    with watch(env, *fleets) as made:
        yield made
        findings = made.judge()
    # plain values: the report may come from another process
    request.node.user_properties.append(("findings", asdict(findings)))
    assert findings.is_empty, findings
