"""status: how a fleet stands."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ritilib.cli.options import EXIT_CHANGES, fleet_option, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_problems, print_rows
from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.errors import Problem
from ritilib.gitops.ahead import count_ahead, read_fleet_name
from ritilib.gitops.repository import find_commit
from ritilib.reconcile.authority import describe_standing
from ritilib.reconcile.wording import count
from ritilib.sync.observe import Places
from ritilib.sync.seen.boxes import describe_box_rows, list_box_rows
from ritilib.sync.seen.look import Branch, FleetLook, look_at_fleet
from ritilib.sync.seen.rows import describe_unit, list_paused, list_rows
from ritilib.sync.seen.status import DownUnit, FailingUnit
from ritilib.sync.seen.unit import UnitLook, look_at_unit

EXIT_OF = {"well": 0, "failed": 1, "pending": EXIT_CHANGES}
COLOURS = {"well": "green", "failed": "red", "pending": "yellow"}
WATCH_S = 5.0  # one blocking query of --watch, after which ages are shown anew


@click.command()
@click.argument("what", metavar="[UNIT|COMPANY]", required=False)
@repo_option
@rev_option
@fleet_option
@json_option
@click.option("--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")
@click.pass_context
def status(
    context: click.Context,
    what: str | None,
    repo: Path,
    rev: str,
    fleet: str | None,
    as_json: bool,
    watch: bool,
) -> None:
    """How the fleet stands, or a company, or everything that is known of one unit ("acme/salto").

    Of the boxes it shows those that wait, of which there seem to be two, or that do not take their configuration, and
    why; of a company all, as each said it last: version, link, what it has in force.

    Exit 0: all is well; 1: something failed, or nobody leads; 3: something is still to come. Reads only: Consul below
    riti/FLEET/, Nomad's list-jobs (read-job and read-fs for a unit).

    \b
    Example: riti status --fleet demo
    Example: riti status acme/salto --repo telephones.git
    """
    if watch and as_json:
        raise click.UsageError("--watch is for people; --json prints once")
    settings, at = read_settings(os.environ, ("nomad", "consul")), _find_repo(context, repo, fleet)
    name = fleet or read_fleet_name(repo, rev)
    code = _show(settings, name, what, at, rev, as_json)
    if watch:
        _watch(settings, name, what, at, rev)
    sys.exit(code)


def _find_repo(context: click.Context, repo: Path, fleet: str | None) -> Path | None:
    """The repository that is looked at: none where the fleet was named and the repository was not."""
    source = context.get_parameter_source("repo")
    return repo if fleet is None or source is click.core.ParameterSource.COMMANDLINE else None


def _watch(settings: Settings, fleet: str, what: str | None, repo: Path | None, rev: str) -> None:
    consul, index = Consul(settings), 0
    while True:
        index = consul.watch(Places(fleet).status, index, WATCH_S).index
        click.clear()
        _show(settings, fleet, what, repo, rev, False)


def _show(
    settings: Settings, fleet: str, what: str | None, repo: Path | None, rev: str, as_json: bool
) -> int:
    """Print it; the exit code."""
    nomad, consul = Nomad(settings), Consul(settings)
    if what and "/" in what:
        found = look_at_unit(fleet, what, nomad, consul)
        _print_unit(found, as_json)
        return 1 if found.has_failed else EXIT_CHANGES if found.lacks else 0
    look = look_at_fleet(fleet, nomad, consul, datetime.now(UTC))
    if repo:
        applied = look.said.commit.applied if look.said else ""
        look = replace(look, branch=Branch(find_commit(repo, rev), count_ahead(repo, rev, applied)))
    _print_fleet(look, what, as_json)
    return EXIT_OF[look.judge()[0]]


def _print_fleet(look: FleetLook, company: str | None, as_json: bool) -> None:
    verdict, why = look.judge()
    rows = list_rows(look, company)
    if as_json:
        print_json(
            {
                "fleet": look.fleet,
                "at": look.at.isoformat(timespec="seconds"),
                "verdict": verdict,
                "why": why,
                "leader": {"who": look.leads.who, "since": look.leads.since, "epoch": look.leads.epoch}
                if look.leads
                else None,
                "fresh": look.is_fresh,
                "age_s": look.age_s,
                "branch": look.branch,
                "status": look.said,
                "drift": look.drift,
                "units": [asdict(row) for row in rows],
                "boxes": [one.describe() for one in look.boxes if is_of(one.key, company)],
                "overlay": look.authority,
                "problems": look.problems,
            }
        )
        return
    click.echo(click.style(f"fleet {look.fleet}: {verdict}", fg=COLOURS[verdict], bold=True))
    for line in _list_lines(look):
        click.echo(line)
    print_rows(("unit", "state", "since", "why"), [(one.unit, one.state, one.since, one.why) for one in rows])
    boxes = tuple(one for one in look.boxes if is_of(one.key, company))
    print_rows(
        ("box", "state", "version", "link", "in force", "commit", "why"),
        list_box_rows(boxes, company is not None),
    )
    if look.said:
        _print_more(look)
    print_problems(look.problems)


def is_of(key: str, company: str | None) -> bool:
    """Whether a box is one of a company (None: of any)."""
    return company is None or key.split("/")[0] == company


def _list_lines(look: FleetLook) -> list[str]:
    lines = [f"{look.leads.who} leads since {look.leads.since}" if look.leads else "nobody leads"]
    said = look.said
    if said is None:
        return [*lines, "no leader has said yet how the fleet stands"]
    if not look.is_fresh:
        lines.append(
            f"OLD: what follows was said {say_age(look.age_s)} ago by {said.leader.who}, who leads no more"
        )
    applied = (
        f"{said.commit.applied[:12]} since {said.commit.applied_at}" if said.commit.applied else "none yet"
    )
    state = "whole" if said.whole else f"{said.counts.as_wished} of {said.counts.units} units as wished"
    lines.append(f"commit {said.commit.wanted[:12]}: {state}; last wholly applied: {applied}")
    if look.branch:
        ahead = (
            "not known here" if look.branch.ahead is None else f"{count(look.branch.ahead, 'commit')} ahead"
        )
        lines.append(f"the branch is at {look.branch.commit[:12]}: {ahead}")
    if said.begun:
        lines.append(f"a cycle goes on: {count(said.begun, 'unit')} begun")
    wave = said.rollout
    if wave.stopped:
        lines.append(f"rollout stopped: {wave.stopped}")
    elif wave.wave and not said.whole:
        until = f", the next not before {wave.until}" if wave.until else ""
        lines.append(f"rollout: wave {wave.wave} of {wave.waves}{until}")
    if look.authority:
        lines.append(describe_standing(look.authority))
    lines += list_paused(said)
    if not lines or look.is_fresh:
        lines.append(f"said {say_age(look.age_s)} ago")
    return lines


def _print_more(look: FleetLook) -> None:
    said = look.said
    assert said
    c = said.counts
    listed = {"held": c.held - len(said.held), "failing": c.failing - len(said.failing)}
    for name, more in (listed | {"waiting": c.waiting - len(said.waiting)}).items():
        if more > 0:
            click.echo(f"and {more} more {name}")
    for healed in said.healed[:5]:
        click.echo(f"healed: {healed.unit} at {healed.at}")
    for name, spell in (("the last failed cycle", said.failed_cycle), ("Git", said.git)):
        if spell:
            over = f", over since {spell.until}" if spell.until else ""
            click.echo(f"{name}, since {spell.since}{over}:")
            print_problems(
                Problem("", 0, 0, one.what, one.mend, severity="warning" if spell.until else "error")
                for one in spell.problems
            )
    print_problems(Problem("", 0, 0, one.what, one.mend) for one in said.failing)
    print_problems(Problem("", 0, 0, one.what, one.mend) for one in said.down)
    print_problems(Problem("", 0, 0, one.what, one.mend) for one in said.problems)


def _print_unit(found: UnitLook, as_json: bool) -> None:
    if as_json:
        print_json(describe_unit(found))
        return
    said: dict[str, Any] = describe_unit(found)
    rows = [
        (name, "" if value is None else str(value))
        for group in ("record", "job", "allocation", "value", "word")
        for name, value in ((said[group] or {}).items() if said[group] else [(group, "none")])
    ]
    if found.box:
        rows += [
            (name, "" if value is None else str(value))
            for name, value in describe_box_rows(found.box).items()
        ]
    print_rows(("what", "found"), [(name, value) for name, value in rows if value not in ("", "{}")])
    for one in found.instances:
        reached = "calls go to it" if one.is_reached else "no call goes to it"
        taken = "" if one.generation is None else f" (generation {one.generation})"
        click.echo(f"instance {one.id[:8]}{taken}: {reached}; {one.state}")
    for one in said["told"]:
        words = [f"{name}: {value}" for name, value in one.items() if value not in ("", found.unit)]
        click.echo("leader says: " + ", ".join(words))
    for entry in found.history[:5]:
        click.echo(f"{entry.ended}\t{entry.commit[:12]}\t{', '.join(entry.names(found.unit))}")
    print_problems(Problem("", 0, 0, f"{found.unit}: {one}", "", severity="warning") for one in found.lacks)
    failing = (one for one in found.told if isinstance(one, FailingUnit | DownUnit))
    print_problems(Problem("", 0, 0, one.what, one.mend) for one in failing)
    print_problems(found.problems)


def say_age(age_s: int | None) -> str:
    """Seconds in the words of people: "40 s", "12 min", "3 h", "2 days"."""
    if age_s is None:
        return "some time"
    for unit_s, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if age_s >= 2 * unit_s:
            return f"{age_s // unit_s} {name}"
    return f"{age_s} s"
