"""controller: the sync controller as a Nomad job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ritilib.cli.options import EXIT_CHANGES, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.gitops.desired import read_fleet
from ritilib.render.controller import render_controller
from ritilib.render.names import ControllerNames
from ritilib.sync.controller_job import need_controller, plan_controller, run_controller_job

WORDS = {
    "none": "is as wished",
    "create": "would be made",
    "in-place": "would be changed in place",
    "destructive": "would be replaced, one instance after the other",
    "registered": "registered",
    "deployed": "every instance is as wished",
}


@click.group()
def controller() -> None:
    """The sync controller as a Nomad job, as `controller:` in fleet.yaml describes it.

    \b
    Example: riti controller job | nomad job plan -
    """


@controller.command()
@repo_option
@rev_option
def job(repo: Path, rev: str) -> None:
    """Print the job in HCL, of a merged commit; no server is asked.

    \b
    Example: riti controller job --rev main > controller.nomad.hcl
    """
    fleet = read_fleet(repo, rev)
    click.echo(render_controller(fleet, need_controller(fleet)), nl=False)


@controller.command()
@repo_option
@rev_option
@json_option
@click.option("--check", is_flag=True, help="Write nothing; exit 3 where the job would be changed.")
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Stay until every instance is a new one."
)
def run(repo: Path, rev: str, as_json: bool, check: bool, wait: bool) -> None:
    """Register the job of a merged commit, where Nomad has another; one instance is replaced after the other.

    Needs NOMAD_ADDR and a token that may register jobs in its namespace. Nobody else does it: a wrong commit cannot end
    the controller.

    \b
    Example: riti controller run --repo telephones.git
    """
    fleet = read_fleet(repo, rev)
    nomad = Nomad(read_settings(os.environ, ("nomad",)), need_controller(fleet).namespace)
    outcome: str = (
        plan_controller(fleet, nomad)[1].changes if check else run_controller_job(fleet, nomad, wait)
    )
    job_id = ControllerNames(fleet.name).job_id
    if as_json:
        print_json({"job": job_id, "outcome": outcome})
    else:
        click.echo(f"{job_id}: {WORDS[outcome]}")
    if check and outcome != "none":
        sys.exit(EXIT_CHANGES)
