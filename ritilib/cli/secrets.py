"""riti secrets: new secrets for the links of a company."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ritilib.cli.box import report_change
from ritilib.cli.options import repo_option
from ritilib.fleet.edit import rotate_secrets


@click.group()
def secrets() -> None:
    """Make new secrets for the links of a company.

    \b
    Example: riti secrets rotate acme
    """


@secrets.command("rotate")
@click.argument("companies", metavar="[COMPANY]…", nargs=-1)
@repo_option
def secrets_rotate(companies: tuple[str, ...], repo: Path) -> None:
    """Count `secrets` up in a company's file (without COMPANY: in all), and leave every other byte of it as it is.

    Merged, it gives every PBX and every box of the company new secrets for its links. The controller goes step by step:
    first all accept the new ones too, then they call by them, then the old ones are gone. Nobody goes on before all of
    the company have acknowledged the step before, an office that is offline too, so no call is cut and no link lost.

    \b
    Example: riti secrets rotate acme && riti render && riti propose -m "Acme's links get new secrets"
    """
    report_change(repo, partial(rotate_secrets, companies=companies))
