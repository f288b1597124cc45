"""Options and exit codes that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

EXIT_CHANGES = 3  # plan and render --check: something would change

repo_option = click.option(
    "--repo",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current folder",
    help="The GitOps repository.",
)
rev_option = click.option("--rev", default="main", show_default=True, help="The merged branch or commit.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
fleet_option = click.option(
    "--fleet", metavar="NAME", help="The fleet's name, where there is no repository at hand."
)
