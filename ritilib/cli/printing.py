"""How the command speaks: tables and colour on a terminal, plain lines elsewhere, JSON where asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ritilib.errors import Problem, RitiError

LONGEST_TABLE = 1000  # rows; a longer one is read by a program or not at all, and takes minutes to lay out


def report(line: str) -> None:
    """Progress, on standard error, so that what is piped stays clean."""
    click.echo(line, err=True)


def print_error(error: RitiError) -> None:
    """Every problem on a line of its own."""
    print_problems(error.problems)


def print_problems(problems: Iterable[Problem]) -> None:
    """Each with what it is, `error: …` in red or `warning: …` in yellow."""
    for problem in problems:
        colour = "red" if problem.severity == "error" else "yellow"
        click.echo(click.style(f"{problem.severity}: ", fg=colour, bold=True) + str(problem), err=True)


def print_json(value: Any) -> None:
    """One indented JSON document on standard output."""
    click.echo(json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False))


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere, and where it is too long, one line a row, its cells parted by tabs."""
    rows = list(rows)
    if not sys.stdout.isatty() or len(rows) > LONGEST_TABLE:
        if rows:
            click.echo("\n".join("\t".join(row) for row in rows))
        return
    table = Table(*headings)
    for row in rows:
        table.add_row(*map(escape, row))  # what a server said is no markup
    Console().print(table)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
