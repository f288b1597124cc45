"""The one tree of errors.

    RitiError                    anything a person can mend; carries its problems
    ├── FleetError               the fleet's files: each problem with file and line
    ├── GitopsError              the GitOps repository: absent, foreign, stale, not as the manifest says
    │   └── HistoryRefused       what was fetched does not go on from what was accepted; that stays in force
    ├── ServerError              a server said no, or said nothing
    │   ├── Unreachable          no answer; nothing is known, so nothing may be concluded from it
    │   ├── Denied               the token or identity may not do this
    │   └── Conflict             somebody else wrote in between: read again, decide again
    ├── EnrollError              a claim, request or reply that cannot be believed, or a box that is not let in
    ├── LeadershipLost           another controller leads, or may by now: nothing more is written
    └── DevstackError            the local stack: a program missing, a server that does not come up

Only `ritilib.cli.main` catches them. A message never holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, and what to do about it.

    file is relative to the repository ("" where no file is concerned); line and column count from 1
    (0: the whole file). what says what is wrong; mend says what to do next. rule is a short name that stays the
    same for the same kind of problem ("number-twice", "removals-held"; "" where nobody must tell it from others). A
    warning is something that may be meant so, and stops nothing.
    """

    file: str
    line: int
    column: int
    what: str
    mend: str
    rule: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = ""
        if self.file:
            place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{place}{self.what}; {self.mend}" if self.mend else f"{place}{self.what}"


class RitiError(Exception):
    """Root of the tree: one or more problems, shown all at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # whole from one process to another

    @classmethod
    def because(cls, what: str, mend: str) -> Self:
        """The error with a single problem that belongs to no file."""
        return cls([Problem("", 0, 0, what, mend)])


class FleetError(RitiError):
    """What the fleet's files say cannot be used."""


class GitopsError(RitiError):
    """The GitOps repository is absent, foreign, stale, or not what its manifest says."""


class HistoryRefused(GitopsError):
    """The branch was rewritten, has another root, or is not signed as the fleet asks: nothing of it is applied."""


class ServerError(RitiError):
    """Nomad, Consul, Vault or Docker answered with an error."""


class Unreachable(ServerError):
    """No answer came; a read that failed is not an empty answer (rule 5 of the design)."""


class Denied(ServerError):
    """The server knows us and says that we may not."""


class Conflict(ServerError):
    """A compare-and-set lost: somebody wrote in between (rule 7: read again, never blind-retry)."""


class LeadershipLost(RitiError):
    """Another controller leads, or may by now (rule 8): the cycle ends where it is, and whoever leads goes on."""


class EnrollError(RitiError):
    """A claim, request or reply does not hold, or a box is told that it is not let in."""


class DevstackError(RitiError):
    """The local stack lacks a program or a server of it does not come up."""
