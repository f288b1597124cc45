"""What `riti controller run` and `riti gateway run` say, and how they end."""

from __future__ import annotations

import sys

import click

from ritilib.cli.options import EXIT_CHANGES
from ritilib.cli.printing import print_json

WORDS = {
    "none": "is as wished",
    "create": "would be made",
    "in-place": "would be changed in place",
    "destructive": "would be replaced, one instance after the other",
    "registered": "registered",
    "deployed": "every instance is as wished",
}


def tell_outcome(job_id: str, outcome: str, as_json: bool, check: bool) -> None:
    """Print what became of a job; with check, exit 3 where something would."""
    if as_json:
        print_json({"job": job_id, "outcome": outcome})
    else:
        click.echo(f"{job_id}: {WORDS[outcome]}")
    if check and outcome != "none":
        sys.exit(EXIT_CHANGES)
