"""history: what was applied when, by which commit and by whom."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ritilib.cli.options import fleet_option, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_rows
from ritilib.clients.consul import Consul
from ritilib.clients.settings import read_settings
from ritilib.gitops.ahead import read_fleet_name
from ritilib.sync.seen.history import Entry
from ritilib.sync.seen.told import read_entries


@click.command()
@click.argument("unit", required=False)
@repo_option
@rev_option
@fleet_option
@json_option
@click.option(
    "-n", "most", type=click.IntRange(min=1), default=20, show_default=True, help="So many, the newest first."
)
def history(unit: str | None, repo: Path, rev: str, fleet: str | None, as_json: bool, most: int) -> None:
    """What was applied when, by which commit and by whom; with a unit, what names it. Reads Consul only.

    \b
    Example: riti history --fleet demo -n 5
    Example: riti history acme/salto
    """
    settings = read_settings(os.environ, ("nomad", "consul"))
    name = fleet or read_fleet_name(repo, rev)
    entries, record = read_entries(name, unit, Consul(settings))
    shown = entries[:most]
    if as_json:
        print_json({"fleet": name, "unit": unit, "entries": shown, "record": record})
        return
    rows = [
        (
            one.ended,
            one.commit[:12],
            ", ".join(one.names(unit) if unit else (f"{n} {what}" for what, n in one.counts.items())),
            "" if unit else _list_units(one),
            "whole" if one.whole else "",
            one.who,
        )
        for one in shown
    ]
    print_rows(("ended", "commit", "what", "units", "", "by"), rows)
    if not rows:
        click.echo(f"nothing is told of {unit or name}")
    if record:
        said = (
            f", replaced at {record.replaced_at} by {record.replaced_by[:12]}" if record.replaced_at else ""
        )
        click.echo(f"{unit}: {record.state} by {record.commit[:12]}{said}")


def _list_units(entry: Entry) -> str:
    """The first of those that it names."""
    names = [key for units in entry.units.values() for key in units]
    more = sum(entry.counts.values()) - len(names[:3])
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
