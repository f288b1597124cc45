"""`riti dev demo`: runs the demo and prints its table, the ninth step."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from ritilib.cli.options import json_option
from ritilib.cli.printing import print_json, report
from ritilib.errors import DevstackError

if TYPE_CHECKING:
    from ritilib.devstack.demo.run import Told

WIDTH_PLAIN = 150


@click.command()
@json_option
@click.option("--keep", is_flag=True, help="Leave it all up, and say where to look.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Folder for the stack, the repository and the recordings.",
)
@click.option(
    "--fleet",
    "example",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("examples/fleet"),
    show_default=True,
    help="Companies and boxes to start with.",
)
@click.option(
    "--outage", "outage_s", default=8.0, show_default=True, help="Seconds without Consul and Vault."
)
def demo(as_json: bool, keep: bool, folder: Path, example: Path, outage_s: float) -> None:
    """Do the product's whole job once on this machine: from a merge to a call that outlives its servers.

    \b
    Example: riti dev demo
    Example: riti dev demo --keep     (then look around; end it with riti dev down --dir .demo/stack)
    """
    try:
        from ritilib.devstack.demo.run import (
            run_demo,  # needs the dev extra, which the other commands do without
        )
    except ImportError as error:
        mend = "install it: pip install 'ritilib[dev]'"
        raise DevstackError.because(f"the demo needs {error.name}, of the extra `dev`", mend) from error

    start = time.monotonic()
    told = run_demo(folder / "stack", folder / "lab", example, outage_s, keep, report)
    if as_json:
        print_json(told)
    else:
        print_told(told, time.monotonic() - start)
    if keep:
        report(f"all of it is still up: servers' addresses with `riti dev env --dir {folder / 'stack'}`,")
        report(f"the repository in {folder / 'lab' / 'telephones'}, logs in {folder / 'stack' / 'logs'};")
        report(f"end it with `riti dev down --dir {folder / 'stack'}`")
    if not told.held:
        sys.exit(1)


def print_told(told: Told, seconds: float) -> None:
    """The table: every fact of every step."""
    table = Table(title="what the demo found", title_justify="left")
    for heading in ("step", "", "found", "figure"):
        table.add_column(heading, overflow="fold")
    for step in told.steps:
        table.add_row(
            f"{step.number} {step.title}", verdict(step.held), "", f"{step.seconds:.1f} s", style="bold"
        )
        for fact in step.facts:
            table.add_row("", verdict(fact.held), fact.what, fact.figure)
    for number in range(len(told.steps) + 1, told.asked + 1):
        table.add_row(str(number), verdict(False), "not reached", "")
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_PLAIN)
    console.print(table)
    console.print(f"9 the table: {'all held' if told.held else 'NOT ALL HELD'}, {seconds:.0f} s in all")


def verdict(held: bool) -> str:
    return "[green]held[/]" if held else "[red]FAILED[/]"
