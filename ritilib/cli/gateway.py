"""gateway: the gateway for boxes as a Nomad job."""

from __future__ import annotations

from pathlib import Path

import click

from ritilib.cli.options import json_option, repo_option, rev_option
from ritilib.cli.own_job import check_option, connect_nomad, tell_outcome, wait_option
from ritilib.gitops.desired import read_fleet
from ritilib.render.gateway import render_gateway
from ritilib.render.names import GatewayNames
from ritilib.sync.gateway_job import need_gateway, plan_gateway, run_gateway_job


@click.group()
def gateway() -> None:
    """The gateway for boxes as a Nomad job, as `gateway:` in fleet.yaml describes it.

    \b
    Example: riti gateway job | nomad job plan -
    """


@gateway.command()
@repo_option
@rev_option
def job(repo: Path, rev: str) -> None:
    """Print the job in HCL, of a merged commit; no server is asked.

    \b
    Example: riti gateway job --rev main > gateway.nomad.hcl
    """
    fleet = read_fleet(repo, rev)
    click.echo(render_gateway(fleet, need_gateway(fleet)), nl=False)


@gateway.command()
@repo_option
@rev_option
@json_option
@check_option
@wait_option
def run(repo: Path, rev: str, as_json: bool, check: bool, wait: bool) -> None:
    """Register the job of a merged commit, where Nomad has another; one instance is replaced after the other.

    Needs NOMAD_ADDR and a token that may register jobs in its namespace. Nobody else does it: a wrong commit cannot cut
    off every box.

    \b
    Example: riti gateway run --repo telephones.git
    """
    fleet = read_fleet(repo, rev)
    nomad = connect_nomad(need_gateway(fleet).namespace)
    outcome: str = plan_gateway(fleet, nomad)[1].changes if check else run_gateway_job(fleet, nomad, wait)
    tell_outcome(GatewayNames(fleet.name).job_id, outcome, as_json, check)
