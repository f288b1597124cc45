"""The command `riti`, and the only place that catches the library's errors."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import click

from ritilib.cli.printing import print_error
from ritilib.errors import RitiError

EXIT_ERROR = 1
# command → module of ritilib.cli that holds it under its name, read when it is called: the servers' libraries are
# half of the second that a command takes to start, and most commands need none of them
COMMANDS = {
    "init": "fleet",
    "validate": "validate",
    "schema": "validate",
    "box": "box",
    "extension": "box",
    "enroll": "enroll",
    "words": "words",
    "overlay": "overlay",
    "secrets": "secrets",
    "render": "fleet",
    "propose": "fleet",
    "pull": "fleet",
    "trace": "calls",
    "prove": "calls",
    "bootstrap": "servers",
    "plan": "plan",
    "sync": "sync",
    "suspend": "suspend",
    "resume": "suspend",
    "box-agent": "box_agent",
    "controller": "controller",
    "gateway": "gateway",
    "status": "status",
    "history": "history",
    "join": "join",
    "dev": "dev",
}


def find_version() -> str:
    """The installed version, or "0" where the code runs uninstalled."""
    try:
        return version("ritilib")
    except PackageNotFoundError:
        return "0"


class Commands(click.Group):
    """The commands of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"ritilib.cli.{COMMANDS[cmd_name]}"), cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(find_version(), prog_name="riti")
def riti() -> None:
    """Many small telephone systems, from YAML to dial tone.

    \b
    A first look:   riti dev demo
    Daily work:     edit fleet/, then: riti validate && riti render && riti propose -m "why"
    Completion:     eval "$(_RITI_COMPLETE=bash_source riti)"
    """


def main() -> None:
    """Run the command; 0 fine, 1 error, 2 usage, 3 changes were found."""
    try:
        riti()
    except RitiError as error:
        _end(error)
    except OSError as error:
        place = error.filename or "a file"
        mend = "look at its permissions and at the disk, then run it again"
        _end(RitiError.because(f"{place}: {error.strerror or error}", mend))


def _end(error: RitiError) -> None:
    print_error(error)
    sys.exit(EXIT_ERROR)
