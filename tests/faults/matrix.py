"""The table at the end of a run: each row of the matrix with its outcome, and the three figures over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.faults.judging import Findings
from tests.faults.rows import ROWS


@dataclass
class Row:
    """tests: how many went how ("passed", "failed", "error"); findings: of all its witnesses."""

    tests: dict[str, int] = field(default_factory=dict)
    findings: list[Findings] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """A row that nobody watched shows nothing."""
        return (
            self.tests.keys() == {"passed"}
            and bool(self.findings)
            and all(one.is_empty for one in self.findings)
        )

    def count(self) -> tuple[int, int, int]:
        """Unintended deletions, lost updates, calls cut."""
        return (
            sum(len(one.deletions) for one in self.findings),
            sum(len(one.lost) for one in self.findings),
            sum(len(one.cuts) for one in self.findings),
        )


def write_table(rows: Mapping[str, Row]) -> Iterator[str]:
    """Lines for people; the last one is the figure that the matrix is for."""
    for name in [row for row in ROWS if row in rows]:
        row = rows[name]
        tests = ", ".join(f"{count} {word}" for word, count in sorted(row.tests.items()))
        yield f"{'held' if row.is_good else 'BROKEN':7} {name}: {tests}"
        for found in row.findings:
            for kind, places in (
                ("unintended deletion", found.deletions),
                ("lost update", found.lost),
                ("call cut", found.cuts),
            ):
                yield from (f"{'':8}{kind}: {place}" for place in places)
    deletions, lost, cuts = (sum(each) for each in zip(*(row.count() for row in rows.values()), strict=True))
    held = sum(row.is_good for row in rows.values())
    yield f"unintended deletions: {deletions}, lost updates: {lost}, calls cut: {cuts}"
    yield f"over {len(rows)} rows of {len(ROWS)}, {held} held"


def collect(reports: Iterable[tuple[str, Mapping[str, object]]]) -> dict[str, Row]:
    """Of each report of a test its outcome ("" for what only passes by) and its properties."""
    rows: dict[str, Row] = {}
    for outcome, said in reports:
        name = said.get("row")
        if not isinstance(name, str):
            continue
        row = rows.setdefault(name, Row())
        if outcome:
            row.tests[outcome] = row.tests.get(outcome, 0) + 1
        found = said.get("findings")
        if isinstance(found, dict):
            row.findings.append(Findings(**{kind: tuple(places) for kind, places in found.items()}))
    return rows
