"""riti dev: the local stack, for trying the product and for testing it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ritilib.cli.demo import demo
from ritilib.cli.options import json_option
from ritilib.cli.printing import print_json, print_rows, report
from ritilib.cli.servers import find_overlay_tool
from ritilib.devstack import stack
from ritilib.devstack.folders import find_cache, find_state
from ritilib.devstack.machine.recipe import FORGE
from ritilib.devstack.machine.setup import set_up
from ritilib.devstack.record import SERVERS

dir_option = click.option(
    "--dir",
    "state",
    type=click.Path(path_type=Path, file_okay=False),
    default=find_state,
    show_default="${XDG_STATE_HOME:-~/.local/state}/riti/dev",
    help="The stack's folder: data, logs, tokens.",
)
server_argument = click.argument("server", type=click.Choice(SERVERS))


@click.group()
def dev() -> None:
    """The local stack: Nomad, Consul, OpenBao and Docker on this machine.

    \b
    Example: riti dev up && eval "$(riti dev env)" && nomad node status
    """


dev.add_command(demo)


@dev.command()
@dir_option
@click.option(
    "--forge", is_flag=True, help="Build Gitea too, which RITI's own tests need and the stack does not."
)
def setup(state: Path, forge: bool) -> None:
    """Install and build what the stack needs, and start nothing; again without harm.

    \b
    Example: sudo riti dev setup
    """
    set_up(find_cache(), report, FORGE if forge else ())
    click.echo(f"this machine has all that the stack needs; start it: riti dev up --dir {state}")


@dev.command()
@dir_option
def up(state: Path) -> None:
    """Start the stack, and what of it does not run; set the machine up before.

    \b
    Example: riti dev up --dir /tmp/lab
    """
    stack.up(state, report)
    _print_status(state, as_json=False)


@dev.command()
@dir_option
@json_option
def status(state: Path, as_json: bool) -> None:
    """Show each server: ready, running (not ready) or stopped, its address and its log.

    \b
    Example: riti dev status --json
    """
    _print_status(state, as_json)


@dev.command()
@dir_option
@click.option("--purge", is_flag=True, help="Remove data, tokens and logs too.")
def down(state: Path, purge: bool) -> None:
    """End what `up` started, and nothing else; data and logs stay for the next `up`.

    \b
    Example: riti dev down --purge
    """
    stack.down(state, report, purge)


@dev.command()
@dir_option
def env(state: Path) -> None:
    """Print the addresses and management tokens of the running stack as export lines.

    \b
    Example: eval "$(riti dev env)"
    """
    for name, value in stack.environment(state).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@dev.command()
@click.argument("kind", type=click.Choice(["controller", "gateway"]))
@click.option("--name", show_default="riti/KIND:dev", help="The image's name.")
@click.option(
    "--docker",
    envvar="DOCKER_HOST",
    default="unix:///var/run/docker.sock",
    show_default=True,
    help="The Docker daemon that gets it.",
)
def image(kind: str, name: str | None, docker: str) -> None:
    """Make the image of KIND, where Docker has another; a registry gets it by `docker push`.

    \b
    Example: riti dev image controller --name registry.example/riti/controller:1.4
    """
    # here, not above: it needs the docker library, which an install without the extra "dev" lacks
    from ritilib.devstack.images.controller import build_controller
    from ritilib.devstack.images.gateway import build_gateway

    name = name or f"riti/{kind}:dev"
    if kind == "gateway":
        made = build_gateway(docker, find_cache(), report, name)
    else:
        made = build_controller(docker, find_overlay_tool().program, find_cache(), report, name)
    click.echo(f"{name} is made" if made else f"{name} is this RITI already")


@dev.command()
@server_argument
@dir_option
def stop(server: str, state: Path) -> None:
    """End one server and leave the rest running: an outage, to be watched.

    \b
    Example: riti dev stop consul
    """
    stack.stop_server(state, server, report)


@dev.command()
@server_argument
@dir_option
def start(server: str, state: Path) -> None:
    """Start one server again, on its data.

    \b
    Example: riti dev start consul
    """
    stack.start_server(state, server, report)


def _print_status(state: Path, as_json: bool) -> None:
    rows = stack.status(state)
    if as_json:
        print_json(rows)
        return
    cells = [(row.server, row.state, str(row.pid or ""), row.address, row.log) for row in rows]
    print_rows(("server", "state", "pid", "address", "log"), cells)
