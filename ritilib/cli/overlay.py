"""riti overlay: the authority of the overlay's certificates."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from ritilib.cli.box import report_change
from ritilib.cli.options import fleet_option, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_rows
from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.fleet.edit import rotate_authority
from ritilib.gitops.ahead import read_fleet_name
from ritilib.reconcile.authority import Member, Standing, describe_standing
from ritilib.sync.observe import observe
from ritilib.sync.overlay.members import Looker, find_away


@click.group()
def overlay() -> None:
    """See the authority of the overlay's certificates, and have it replaced.

    \b
    Example: riti overlay show --fleet demo
    """


@overlay.command("show")
@repo_option
@rev_option
@fleet_option
@json_option
def overlay_show(repo: Path, rev: str, fleet: str | None, as_json: bool) -> None:
    """How far the authority is, who is waited for, and which boxes `--now` would cut off.

    Reads only: Consul below riti/FLEET/, Nomad's list-jobs and read-fs.

    \b
    Example: riti overlay show --fleet demo --json
    """
    standing, away = _look(fleet or read_fleet_name(repo, rev))
    if as_json:
        print_json({"standing": standing, "away": [asdict(one) for one in away]})
        return
    click.echo(describe_standing(standing))
    _print_away(away)


@overlay.command("rotate")
@repo_option
@click.option("--now", is_flag=True, help="The key is known to others: leave behind whoever is not there.")
def overlay_rotate(repo: Path, now: bool) -> None:
    """Count `overlay_authority.generation` up in fleet.yaml, and leave every other byte of it as it is.

    Merged, it gives the overlay another authority, and cuts no call: first all trust it beside the old one, then
    certificates are renewed by it, over a day, then the old one is trusted no longer. With --now certificates are
    renewed at once, nobody is waited for who is not there, and the boxes that are cut off are listed: they come back
    when they reach the gateway.

    \b
    Example: riti overlay rotate && riti render && riti propose -m "The overlay gets another authority"
    """
    if now:
        _print_away(_look(read_fleet_name(repo, "main"))[1])
    report_change(repo, partial(rotate_authority, at_once=now))


def _look(fleet: str) -> tuple[Standing, tuple[Member, ...]]:
    settings = read_settings(os.environ, ("nomad", "consul"))
    nomad, consul = Nomad(settings), Consul(settings)
    observed = observe(fleet, nomad, consul, datetime.now(UTC)).observed
    standing = observed.authority or Standing()
    return standing, find_away(Looker(fleet, nomad, consul), observed.records, standing)


def _print_away(away: tuple[Member, ...]) -> None:
    print_rows(("cut off by --now", "why"), [(one.key, one.lag) for one in away])
