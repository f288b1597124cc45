"""suspend, resume: what the controller leaves alone, at once and without a merge."""

from __future__ import annotations

import getpass
import os
import re
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from ritilib.cli.options import fleet_option, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_problems, report
from ritilib.clients.consul import Consul
from ritilib.clients.settings import read_settings
from ritilib.errors import Problem
from ritilib.fleet.suspended import find_fleet_name, find_suspending, list_paths
from ritilib.gitops.objects import read_files
from ritilib.gitops.repository import find_commit
from ritilib.reconcile.suspensions import Suspension, describe_scope, write_command
from ritilib.sync.pausing import resume as lift_suspension
from ritilib.sync.pausing import suspend as write_suspension

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

scope_argument = click.argument("scope", default="", metavar="[COMPANY[/OFFICE]]")


def _read_duration(_context: click.Context, _option: click.Parameter, said: str | None) -> timedelta | None:
    """90m, 2h, 3d."""
    match = _DURATION.fullmatch(said) if said is not None else None
    if said is not None and match is None:
        raise click.BadParameter(f"{said} is no duration such as 90m, 2h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def _read_moment(_context: click.Context, _option: click.Parameter, said: str | None) -> datetime | None:
    """A time as RFC 3339 has it; without its zone, by this machine's clock."""
    try:
        return datetime.fromisoformat(said).astimezone(UTC) if said is not None else None
    except ValueError:
        raise click.BadParameter(f"{said} is no time such as 2026-12-24T18:00") from None


@click.command()
@scope_argument
@click.option("--why", required=True, metavar="TEXT", help="The reason, which everybody is shown.")
@click.option(
    "--until", callback=_read_moment, metavar="TIME", help="When it ends by itself: 2026-12-24T18:00."
)
@click.option(
    "--for", "lasting", callback=_read_duration, metavar="TIME", help="For how long: 90m, 2h or 3d."
)
@repo_option
@rev_option
@fleet_option
@json_option
def suspend(
    scope: str,
    why: str,
    until: datetime | None,
    lasting: timedelta | None,
    repo: Path,
    rev: str,
    fleet: str | None,
    as_json: bool,
) -> None:
    """Have the controller write nothing of a company, an office, or (without a name) of the fleet, from now on.

    No update, no repair, no removal, until `riti resume`. A unit in hand is finished. Needs CONSUL_HTTP_ADDR and
    CONSUL_HTTP_TOKEN, a token with `key_prefix "riti/FLEET/inventory/_suspended/" { policy = "write" }` and no more.

    \b
    Example: riti suspend acme/salto --why "the provider works on the line" --for 2h
    Example: riti suspend --why "calls drop since 9:40"      (the whole fleet)
    """
    now = datetime.now(UTC)
    if until and lasting:
        raise click.UsageError("say --until or --for, not both")
    ends = now + lasting if lasting else until
    if ends and ends <= now:
        raise click.BadParameter("that is over already", param_hint="--until")
    files = {} if fleet else _read_files(repo, rev, scope)
    made = write_suspension(
        _connect(), fleet or find_fleet_name(files), scope, why, _name_person(), now, ends
    )
    unknown = files and list_paths(scope)[-1] not in files
    if as_json:
        print_json(_describe(made))
    else:
        click.echo(f"{describe_scope(scope)} is suspended{_say_end(made)}: {made.why}")
        report(f"next: {write_command('resume', scope)}")
    if unknown:
        what = f"{rev} holds no {scope}"
        mend = "see that it is spelt so; what was taken out of the fleet is kept from being removed"
        print_problems([Problem("", 0, 0, what, mend, severity="warning")])


@click.command()
@scope_argument
@repo_option
@rev_option
@fleet_option
@json_option
def resume(scope: str, repo: Path, rev: str, fleet: str | None, as_json: bool) -> None:
    """Lift what `riti suspend` suspended by this very name; what Git suspends stays so, and is said. Exit 1 then.

    \b
    Example: riti resume acme/salto
    """
    files = {} if fleet else _read_files(repo, rev, scope)
    name = fleet or find_fleet_name(files)
    done = lift_suspension(_connect(), name, scope, _name_person(), datetime.now(UTC))
    by_git = list(find_suspending(files, scope))
    if as_json:
        lifted = _describe(done.lifted) if done.lifted else None
        print_json({"lifted": lifted, "still": [*map(_describe, done.still)], "git": by_git})
    elif done.lifted:
        by = f", by {done.lifted.who} since {done.lifted.since}" if done.lifted.who else ""
        click.echo(f"{describe_scope(scope)} was suspended{by}: {done.lifted.why}; that is lifted")
    else:
        click.echo(f"{describe_scope(scope)}: `riti suspend` suspended nothing by this name")
    print_problems([*map(_say_still, done.still), *by_git])
    if done.still or by_git:
        sys.exit(1)


def _say_still(one: Suspension) -> Problem:
    what = f"{describe_scope(one.scope)} is still suspended{_say_end(one)} by {one.who}: {one.why}"
    return Problem("", 0, 0, what, f"`{write_command('resume', one.scope)}` lifts that")


def _say_end(one: Suspension) -> str:
    return f" until {one.ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if one.ends else ""


def _describe(one: Suspension) -> dict[str, str]:
    return {"scope": one.scope, "why": one.why, "who": one.who, "since": one.since, "until": one.until}


def _connect() -> Consul:
    return Consul(read_settings(os.environ, servers=("consul",)))


def _read_files(repo: Path, rev: str, scope: str) -> Mapping[str, bytes]:
    """The few files of a commit that name the fleet, and may suspend the scope."""
    return read_files(repo, find_commit(repo, rev), *list_paths(scope))


def _name_person() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
