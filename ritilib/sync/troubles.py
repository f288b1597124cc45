"""What went wrong in a cycle, and with which units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ritilib.errors import Denied, Problem, RitiError
from ritilib.sync.unit.settle import Settled


@dataclass
class Troubles:
    """problems in the order in which they came. failed: units with which something went wrong, denied those of them
    that a server denied; watched: units of which it is not known yet whether they are well."""

    problems: list[Problem]
    failed: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)

    def note(self, key: str, error: RitiError) -> None:
        """An error of one unit, which leaves the others alone."""
        self.problems += [replace(one, what=f"{key}: {one.what}") for one in error.problems]
        self.failed.add(key)
        if isinstance(error, Denied):
            self.denied.add(key)

    def note_settled(self, key: str, settled: Settled) -> None:
        """What a replaced unit was found to be."""
        if settled.problem:
            self.problems.append(settled.problem)
        if settled.stage == "watched":
            self.watched.add(key)
