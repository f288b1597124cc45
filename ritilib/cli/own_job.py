"""What `riti controller run` and `riti gateway run` share: options, Nomad, what they say, and how they end."""

from __future__ import annotations

import os
import sys

import click

from ritilib.cli.options import EXIT_CHANGES
from ritilib.cli.printing import print_json
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings

WORDS = {
    "none": "is as wished",
    "create": "would be made",
    "in-place": "would be changed in place",
    "destructive": "would be replaced, one instance after the other",
    "registered": "registered",
    "deployed": "every instance is as wished",
}


check_option = click.option(
    "--check", is_flag=True, help="Write nothing; exit 3 where the job would be changed."
)
wait_option = click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Stay until every instance is a new one."
)


def connect_nomad(namespace: str) -> Nomad:
    """Nomad, by the shell's variables, for the namespace of such a job."""
    return Nomad(read_settings(os.environ, ("nomad",)), namespace)


def tell_outcome(job_id: str, outcome: str, as_json: bool, check: bool) -> None:
    """Print what became of a job; with check, exit 3 where something would."""
    if as_json:
        print_json({"job": job_id, "outcome": outcome})
    else:
        click.echo(f"{job_id}: {WORDS[outcome]}")
    if check and outcome != "none":
        sys.exit(EXIT_CHANGES)
