"""controller: the sync controller as a Nomad job."""

from __future__ import annotations

from pathlib import Path

import click

from ritilib.cli.options import json_option, repo_option, rev_option
from ritilib.cli.own_job import check_option, connect_nomad, tell_outcome, wait_option
from ritilib.gitops.desired import read_fleet
from ritilib.render.controller import render_controller
from ritilib.render.names import ControllerNames
from ritilib.sync.controller_job import need_controller, plan_controller, run_controller_job


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
@check_option
@wait_option
def run(repo: Path, rev: str, as_json: bool, check: bool, wait: bool) -> None:
    """Register the job of a merged commit, where Nomad has another; one instance is replaced after the other.

    Needs NOMAD_ADDR and a token that may register jobs in its namespace. Nobody else does it: a wrong commit cannot end
    the controller.

    \b
    Example: riti controller run --repo telephones.git
    """
    fleet = read_fleet(repo, rev)
    nomad = connect_nomad(need_controller(fleet).namespace)
    outcome: str = (
        plan_controller(fleet, nomad)[1].changes if check else run_controller_job(fleet, nomad, wait)
    )
    tell_outcome(ControllerNames(fleet.name).job_id, outcome, as_json, check)
