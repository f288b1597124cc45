"""Secrets that the environment gives: in a variable, or in a file that is read again on each use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ritilib.errors import Problem, RitiError

Judge = Callable[
    [str, tuple[str, ...]], list[Problem]
]  # a variable's name and its values: what is wrong with them


@dataclass(frozen=True)
class Given:
    """The variable that holds a secret, or the file that holds them, one a line."""

    variable: str
    judge: Judge = field(compare=False)
    values: tuple[str, ...] = ()
    file: Path | None = None

    def __repr__(self) -> str:
        return f"Given({self.variable})"

    def read(self) -> tuple[str, ...]:
        """The secrets as they are now, one at the least: two lines let an old and a new one live side by side.

        RitiError where the file cannot be read or holds what is no secret.
        """
        if self.file is None:
            return self.values
        try:
            lines = self.file.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            what = f"{self.file} ({self.variable}) cannot be read: {type(error).__name__}"
            raise RitiError.because(what, "make it a file of one secret a line") from None
        values = tuple(line.strip() for line in lines if line.strip())
        problems = self.judge(self.variable, values) if values else [_say_empty(self.variable)]
        if problems:
            raise RitiError(problems)
        return values


def read_given(
    environ: Mapping[str, str], variable: str, judge: Judge, separator: str | None = None
) -> tuple[Given | None, list[Problem]]:
    """What the variable, or the same with _FILE, gives, and all that is wrong with it; None where neither is set.

    separator: what stands between several values of the variable itself; None: it holds one.
    """
    value, file = environ.get(variable, ""), environ.get(f"{variable}_FILE", "")
    if value and file:
        what = f"{variable} and {variable}_FILE are both set"
        return None, [Problem("", 0, 0, what, "keep one of them")]
    if value:
        values = tuple(one for one in value.split(separator) if one) if separator else (value,)
        return Given(variable, judge, values), judge(variable, values) if values else [_say_empty(variable)]
    if not file:
        return None, []
    given = Given(f"{variable}_FILE", judge, file=Path(file))
    try:
        given.read()
    except RitiError as error:
        return given, list(error.problems)
    return given, []


def _say_empty(variable: str) -> Problem:
    return Problem("", 0, 0, f"{variable} holds no secret", "put one there, or take the variable away")
