"""The command `riti`, and the only place that catches the library's errors."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import click

from ritilib.cli.box import box, extension
from ritilib.cli.dev import dev
from ritilib.cli.fleet import init, propose, pull, render
from ritilib.cli.printing import print_error
from ritilib.cli.servers import bootstrap, plan, sync
from ritilib.cli.validate import schema, validate
from ritilib.errors import RitiError

EXIT_ERROR = 1


def find_version() -> str:
    """The installed version, or "0" where the code runs uninstalled."""
    try:
        return version("ritilib")
    except PackageNotFoundError:
        return "0"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(find_version(), prog_name="riti")
def riti() -> None:
    """Many small telephone systems, from YAML to dial tone.

    \b
    A first look:   riti dev demo
    Daily work:     edit fleet/, then: riti validate && riti render && riti propose -m "why"
    Completion:     eval "$(_RITI_COMPLETE=bash_source riti)"
    """


for command in (init, validate, schema, box, extension, render, propose, pull, bootstrap, plan, sync, dev):
    riti.add_command(command)


def main() -> None:
    """Run the command; 0 fine, 1 error, 2 usage, 3 changes were found."""
    try:
        riti()
    except RitiError as error:
        print_error(error)
        sys.exit(EXIT_ERROR)
    except OSError as error:
        place = error.filename or "a file"
        mend = "look at its permissions and at the disk, then run it again"
        print_error(RitiError.because(f"{place}: {error.strerror or error}", mend))
        sys.exit(EXIT_ERROR)
