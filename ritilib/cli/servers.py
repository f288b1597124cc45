"""bootstrap: what comes before a sync."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import click

from ritilib.cli.options import repo_option, rev_option
from ritilib.cli.printing import report
from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.clients.vault import Vault
from ritilib.errors import RitiError
from ritilib.gitops.desired import read_desired, read_fleet
from ritilib.reconcile.prune import Waiting
from ritilib.reconcile.suspensions import SUSPENDING, Pause, describe_scope
from ritilib.sync.gateway_job import delete_gateway_rights, put_gateway_rights
from ritilib.sync.lead.bootstrap import bootstrap as bootstrap_servers


def find_overlay_tool() -> OverlayTool:
    """nebula-cert from $RITI_NEBULA_CERT or PATH."""
    found = os.environ.get("RITI_NEBULA_CERT") or shutil.which("nebula-cert")
    if not found:
        mend = "install Nebula 1.10 or newer, or say where it is with RITI_NEBULA_CERT"
        raise RitiError.because("nebula-cert is not on PATH: overlay certificates cannot be signed", mend)
    return OverlayTool(Path(found))


@click.command()
@repo_option
@rev_option
@click.option("--jwks-url", required=True, help="Where Consul and Vault fetch Nomad's public keys.")
@click.option(
    "--tokens",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File for the controller's own narrow tokens (mode 0600).",
)
def bootstrap(repo: Path, rev: str, jwks_url: str, tokens: Path) -> None:
    """Prepare Nomad, Consul and Vault for a fleet, once; again without harm. Needs management tokens.

    \b
    Example: riti bootstrap --jwks-url https://nomad.example:4646/.well-known/jwks.json --tokens controller.json
    """
    settings = read_settings(os.environ)
    desired, fleet = read_desired(repo, rev), read_fleet(repo, rev)
    previous = _read_tokens(tokens)
    beside = _make_private(tokens)
    made = bootstrap_servers(
        Nomad(settings),
        Consul(settings),
        Vault(settings),
        find_overlay_tool(),
        desired.fleet,
        desired.fleet_id,
        jwks_url,
        previous,
        report,
        fleet.controller.namespace if fleet.controller else None,
    )
    if fleet.gateway and fleet.gateway.image:
        put_gateway_rights(Vault(settings), desired.fleet, fleet.gateway.namespace)
    else:
        delete_gateway_rights(Vault(settings), desired.fleet)
    beside.write_text(json.dumps(made.environment(), indent=2) + "\n")
    beside.replace(tokens)
    click.echo(f"fleet {desired.fleet} may be synced with the tokens in {tokens}")
    if fleet.controller:
        click.echo("its controller's job has the same rights by its identity; next: riti controller run")


def _read_tokens(tokens: Path) -> dict[str, str] | None:
    """What an earlier bootstrap wrote; None where there is none. RitiError where it is something else."""
    if not tokens.exists():
        return None
    try:
        held = json.loads(tokens.read_text())
    except ValueError:
        held = None
    if isinstance(held, dict) and all(isinstance(value, str) for value in held.values()):
        return held
    raise RitiError.because(f"{tokens} holds no tokens", "name another file, or remove this one")


def _make_private(tokens: Path) -> Path:
    """An empty file beside `tokens`, 0600 from its first moment; made before the tokens, or they might be lost."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{tokens.name}.", dir=tokens.absolute().parent)
    except OSError as error:
        raise RitiError.because(
            f"{tokens} cannot be written: {error.strerror}", "name another place"
        ) from error
    os.close(handle)
    return Path(name)


def print_waiting(waiting: tuple[Waiting, ...]) -> None:
    """A line for each unit that is left as it is."""
    for one in waiting:
        until = (
            f"is left as it is until {one.until:%Y-%m-%d %H:%M:%S} UTC" if one.until else "is left as it is"
        )
        click.echo(f"{one.key} {until}: {one.why}")


def print_suspended(pauses: tuple[Pause, ...]) -> None:
    """A line for what is suspended although nothing waits for it; the rest is among what is held."""
    for one in pauses:
        if one.by in SUSPENDING and one.covers and not one.waits:
            until = f" until {one.until:%Y-%m-%d %H:%M:%S} UTC" if one.until else ""
            click.echo(f"{describe_scope(one.scope)} is suspended{until}, and as wished: {one.why}")
