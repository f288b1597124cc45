"""How `python -m boxos` speaks: progress and errors beside, what a program reads on standard output."""

from __future__ import annotations

import json
from typing import Any

import click

from ritilib.errors import RitiError


def report(line: str) -> None:
    """Progress, on standard error."""
    click.echo(line, err=True)


def print_error(error: RitiError) -> None:
    """Every problem on a line of its own."""
    for problem in error.problems:
        click.echo(f"error: {problem}", err=True)


def print_json(value: Any) -> None:
    """One indented JSON document."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
