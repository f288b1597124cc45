"""riti join: a box asks to be let into its fleet, with what lies on its card, and nobody types."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ritilib.box.clock import Clock, find_window
from ritilib.box.gateway import Gateway
from ritilib.box.hardware import read_image, read_serial
from ritilib.box.join import Card, Joiner
from ritilib.box.servers import GatewayServers
from ritilib.box.showing import Shown, State
from ritilib.box.store import IDENTITY_CRT, Store
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE, read_card
from ritilib.errors import EnrollError

EXIT_ERROR, EXIT_WAITING, EXIT_REFUSED, EXIT_LOCKED = 1, 4, 5, 6
EXITS: dict[State, int] = {
    "in": 0,
    "unconfigured": 0,
    "waiting": EXIT_WAITING,
    "not-accepted": EXIT_REFUSED,
    "shut-out": EXIT_REFUSED,
    "denied": EXIT_REFUSED,
    "expired": EXIT_REFUSED,
    "used": EXIT_LOCKED,
    "copied": EXIT_LOCKED,
}


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder that keeps the box's keys and certificates: the data partition.",
)
@click.option(
    "--card",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="The folder that `riti box claim` wrote.",
)
@click.option("--once", is_flag=True, help="End where it would wait for somebody; run it again to go on.")
@click.option("--serial", help="The box's serial number, where its kernel does not say it.")
def join(data: Path, card: Path, once: bool, serial: str | None) -> None:
    """Enroll this box, or renew its certificates when they are due; each time it goes on where it was.

    \b
    It says how far it is, a line each time, and in DATA/status.json. It ends with
    0  when the box is in           1  an error, or no answer
    4  it waits for approval        5  it is not let in
    6  the card was used by another box, or there is a copy of this one
    Example: riti join --data /data/riti --card /data/card
    """
    try:
        texts = [(card / name).read_text(encoding="utf-8") for name in (JOIN_FILE, CLAIM_FILE)]
    except FileNotFoundError as error:
        what = f"{error.filename} is not there"
        raise EnrollError.because(what, "name the folder that `riti box claim` wrote: --card") from None
    said, claim = read_card(texts[0].encode(), texts[1])
    serial = (serial or read_serial()).lower()
    if not serial:
        what = "this machine does not say its serial number"
        raise EnrollError.because(what, "give it: --serial")
    store = Store(data)
    clock = Clock(find_window(claim, store.read(IDENTITY_CRT)))
    gateway = Gateway(said.gateway, said.ca, clock)
    servers = GatewayServers(gateway, said.names, said.datacenter)
    joiner = Joiner(store, servers, Card(said, claim, texts[1].strip(), serial, read_image()), clock, _print)
    try:
        shown = joiner.run(once)
        joiner.close()
    finally:
        gateway.close()
    sys.exit(EXITS.get(shown.state, EXIT_ERROR))


def _print(shown: Shown) -> None:
    click.echo(f"{shown.unit}: {shown.words}")
