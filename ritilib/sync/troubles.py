"""What went wrong in a cycle, and with which units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ritilib.errors import Denied, Problem, RitiError
from ritilib.sync.unit.settle import Settled


@dataclass
class Troubles:
    """problems in the order in which they came. failed: units with which something went wrong, denied those of them
    that a server denied; watched: units of which it is not known yet whether they are well. gone_back: units that were
    not, and are what they were; told: unit → what was said of it."""

    problems: list[Problem]
    failed: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    gone_back: set[str] = field(default_factory=set)
    told: dict[str, list[Problem]] = field(default_factory=dict)

    def tell(self, key: str, *problems: Problem) -> None:
        """Whose these are that stand elsewhere too."""
        self.told.setdefault(key, []).extend(problems)

    def note(self, key: str, error: RitiError) -> None:
        """An error of one unit, which leaves the others alone."""
        told = [replace(one, what=f"{key}: {one.what}") for one in error.problems]
        self.problems += told
        self.tell(key, *told)
        self.failed.add(key)
        if isinstance(error, Denied):
            self.denied.add(key)

    def note_settled(self, key: str, settled: Settled) -> None:
        """What a replaced unit was found to be."""
        if settled.problem:
            self.problems.append(settled.problem)
            self.tell(key, settled.problem)
        if settled.stage == "watched":
            self.watched.add(key)
        if settled.stage == "bad":
            self.gone_back.add(key)
