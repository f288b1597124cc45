"""riti box-agent: keeps a box on its configuration, for as long as it has power."""

from __future__ import annotations

import grp
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType

import click

from ritilib.box.agent import Agent, Box, Joining, Place
from ritilib.box.candidate import BOUND_S, Trial, check_scratch, find_program, try_candidate
from ritilib.box.clock import Clock, find_window
from ritilib.box.gateway import Gateway
from ritilib.box.hardware import read_image, read_serial
from ritilib.box.join import Card, Joiner
from ritilib.box.own import Access, GatewayOwn
from ritilib.box.servers import GatewayServers
from ritilib.box.showing import Shown
from ritilib.box.store import IDENTITY_CRT, IDENTITY_KEY, Store
from ritilib.box.updating import ImagePlaces
from ritilib.cli.main import find_version
from ritilib.cli.printing import report
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE, Join, read_card
from ritilib.enroll.claim import Claim
from ritilib.errors import EnrollError, RitiError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("box-agent")
@click.option(
    "--data", type=FOLDER, required=True, help="The data partition: keys, certificates, configurations."
)
@click.option("--card", type=FOLDER, help="The folder that `riti box claim` wrote.  [default: DATA/card]")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/run/asterisk/watcher.json"),
    show_default=True,
    help="Where the watcher beside Asterisk writes what it knows.",
)
@click.option(
    "--asterisk",
    type=FOLDER,
    default=Path("/"),
    show_default=True,
    help="The root below which Asterisk lies, for trials of configurations.",
)
@click.option(
    "--scratch",
    type=FOLDER,
    default=Path("/run/riti"),
    show_default=True,
    help="A folder in memory, where trials write.",
)
@click.option(
    "--trial-bound", type=click.FloatRange(1), default=BOUND_S, show_default=True, help="Seconds for one."
)
@click.option(
    "--asterisk-group", metavar="NAME", help="The group, or its number, that may read Asterisk's files."
)
@click.option(
    "--overlay-group", metavar="NAME", help="The group, or its number, that may read the overlay's files."
)
@click.option("--serial", help="The box's serial number, where its kernel does not say it.")
def box_agent(
    data: Path,
    card: Path | None,
    state: Path,
    asterisk: Path,
    scratch: Path,
    trial_bound: float,
    asterisk_group: str | None,
    overlay_group: str | None,
    serial: str | None,
) -> None:
    """Enroll this box and keep it on its configuration; ends on SIGTERM.

    The configuration in force lies in DATA/configuration, the overlay's files in DATA/overlay, and what the box says of
    itself in DATA/agent.json. It listens nowhere, and without a network the last good configuration stays in force.

    \b
    Example: riti box-agent --data /data/riti --asterisk-group asterisk
    """
    groups = _find_group(asterisk_group), _find_group(overlay_group)
    place = Place(data, state, *groups, ImagePlaces(scratch))
    program = find_program(asterisk)
    check_scratch(scratch)
    folder = card or data / "card"
    said, claim, text = _read_card(folder)
    serial = (serial or read_serial()).lower()
    if not serial:
        what = "this machine does not say its serial number"
        raise EnrollError.because(what, "give it: --serial")
    image = read_image()
    store = Store(data)
    clock = Clock(find_window(claim, store.read(IDENTITY_CRT)))

    def connect() -> GatewayOwn:
        servers = GatewayOwn(Gateway(said.gateway, said.ca, clock), said.names, said.datacenter)
        servers.use_certificate(data / IDENTITY_CRT, data / IDENTITY_KEY)
        return servers

    def make_joiner(show: Callable[[Shown], None]) -> Joining:
        servers = GatewayServers(Gateway(said.gateway, said.ca, clock), said.names, said.datacenter)
        return Joiner(store, servers, Card(said, claim, text, serial, image), clock, show)

    def try_out(files: Mapping[str, str], usual: tuple[str, ...] | None) -> Trial:
        return try_candidate(files, program, scratch, usual, trial_bound)

    has_certificate = partial(_has_files, data / IDENTITY_CRT, data / IDENTITY_KEY)
    box = Box(said.names, find_version(), image, serial)
    agent = Agent(box, place, Access(connect, has_certificate), make_joiner, try_out, report)

    def end(_number: int, _frame: FrameType | None) -> None:
        agent.is_ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    agent.run()


def _read_card(folder: Path) -> tuple[Join, Claim, str]:
    try:
        texts = [(folder / name).read_text(encoding="utf-8") for name in (JOIN_FILE, CLAIM_FILE)]
    except FileNotFoundError as error:
        what = f"{error.filename} is not there"
        raise EnrollError.because(what, "name the folder that `riti box claim` wrote: --card") from None
    said, claim = read_card(texts[0].encode(), texts[1])
    return said, claim, texts[1].strip()


def _find_group(said: str | None) -> int | None:
    if said is None or said.isdigit():
        return None if said is None else int(said)
    try:
        return grp.getgrnam(said).gr_gid
    except KeyError:
        raise RitiError.because(f"there is no group {said}", "name one that this machine has") from None


def _has_files(*paths: Path) -> bool:
    return all(path.is_file() for path in paths)
