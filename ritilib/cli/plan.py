"""plan: what a sync of the merged commit would do, down to each PBX and each line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from ritilib.cli.options import EXIT_CHANGES, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_problems, print_rows
from ritilib.cli.servers import print_suspended, print_waiting
from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.gitops.desired import read_desired
from ritilib.reconcile.pauses import describe_paused
from ritilib.reconcile.wording import count
from ritilib.sync.images import ImagePlan, plan_images
from ritilib.sync.planned import plan_once
from ritilib.sync.seen.foresee import Foreseen, Foresight, judge_cluster
from ritilib.sync.unit.settle import describe_refused

FEW = 10  # so many changed units are shown with their diffs where nobody says
AGENT_TIMEOUT_S = 3.0  # of each node's agent: who plans may not reach them at all
COLOURS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


@click.command()
@repo_option
@rev_option
@json_option
@click.option(
    "--diff/--no-diff",
    "with_diff",
    default=None,
    help=f"Show each line that changes in Consul and Nomad.  [default: where at most {FEW} units change]",
)
def plan(repo: Path, rev: str, as_json: bool, with_diff: bool | None) -> None:
    """Say what a sync of the merged commit would change, and what each running PBX and box would notice.

    Nothing; a reload, which cuts no call; or a restart, with the wave and the calls that it waits for. Exit 3 where
    something would change. Reads only; Nomad's own diff takes a token with submit-job.

    \b
    Example: riti plan --repo telephones.git
    Example: riti plan --no-diff --json
    """
    settings = read_settings(os.environ, ("nomad", "consul"))
    desired = read_desired(repo, rev)
    nomad, consul = Nomad(settings), Consul(settings)
    made, removals, seen = plan_once(desired, nomad, consul)
    foresight = Foresight(desired, made, seen.observed, nomad, consul)
    shows = with_diff if with_diff is not None else len(made.changes) <= FEW
    changes = foresight.place(_follow(foresight.foresee(shows), len(made.changes)))
    cluster = judge_cluster(
        Nomad(replace(settings, nomad=replace(settings.nomad, timeout_s=AGENT_TIMEOUT_S)))
    )
    held = [*(problem for _, problem in desired.held), *removals.held, *describe_paused(made.paused)]
    conflicts = [*made.conflicts, *made.paused.faults, *removals.conflicts]
    refused = [
        replace(one, severity="warning")
        for one in describe_refused(made.refused, seen.observed.records, seen.observed.now)
    ]
    stops = {
        one.key: "stop: its box is revoked"
        if one.key in removals.revoked
        else f"stop: in no manifest since {one.record.absent_since}"
        for one in removals.stops
    }
    purges = {one.key: f"remove: stopped since {one.record.stopped_at}" for one in removals.purges}
    images = plan_images(desired, seen.observed.suspensions, consul, seen.observed.now)
    warnings = [*foresight.problems, *refused]
    if as_json:
        print_json(
            {
                "commit": desired.commit,
                "unchanged": made.unchanged,
                "changes": {one.unit: ", ".join(one.reasons) for one in changes},
                "units": changes,
                "stop": stops,
                "purge": purges,
                "waiting": removals.waits,
                "awaiting": made.awaiting,
                "conflicts": conflicts,
                "held": held,
                "pauses": made.paused.pauses,
                "images": images,
                "cluster": cluster,
                "warnings": warnings,
            }
        )
    else:
        rows = [(one.unit, one.effect, ", ".join(one.reasons), one.meets) for one in changes]
        gone = [(key, "stop", why, "") for key, why in stops.items()]
        gone += [(key, "remove", why, "") for key, why in purges.items()]
        print_rows(("unit", "effect", "why", "meets"), [*rows, *gone])
        for one in changes:
            _print_diffs(one)
        going = f"{len(stops)} to stop, {len(purges)} to remove, " if gone else ""
        click.echo(f"{len(rows)} to change, {going}{made.unchanged} as wished")
        print_waiting(removals.waits)
        if made.awaiting:
            click.echo(
                f"{count(len(made.awaiting), 'unit')} made when the box enrolls: {', '.join(made.awaiting)}"
            )
        _print_images(images)
        print_suspended(made.paused.pauses)
    print_problems((*conflicts, *held, *cluster, *warnings))
    if conflicts or held or any(one.severity == "error" for one in cluster):
        sys.exit(1)
    if changes or stops or purges or images.told:
        sys.exit(EXIT_CHANGES)


def _follow(changes: Iterable[Foreseen], length: int) -> list[Foreseen]:
    """All of them, with progress on a terminal where they are many."""
    if length <= FEW or not sys.stderr.isatty():
        return list(changes)
    with click.progressbar(changes, length=length, label="asking Nomad", file=sys.stderr) as shown:
        return list(shown)


def _print_images(images: ImagePlan) -> None:
    for key, name in islice(images.told.items(), FEW):
        click.echo(f"{key}: its box is to run image {name}")
    for key, why in islice({**images.later, **images.failed}.items(), FEW):
        click.echo(f"{key}: its box keeps its image: {why}")
    if images.told or images.later or images.failed:
        sizes = (len(images.told), len(images.later), len(images.failed))
        click.echo("boxes' images: {} to change, {} later, {} failed".format(*sizes))


def _print_diffs(one: Foreseen) -> None:
    for name, lines in one.value_diff.items():
        click.echo(click.style(f"\n{one.unit}: {name} in Consul", bold=True))
        _print_lines(lines)
    if one.job_diff:
        click.echo(click.style(f"\n{one.unit}: job in Nomad", bold=True))
        _print_lines(one.job_diff)
    if one.warnings:
        click.echo(f"Nomad warns: {one.warnings}")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        shown = "".join(letter if letter.isprintable() else "?" for letter in line)
        click.echo(click.style(shown, fg=COLOURS.get(line.lstrip()[:1])))
