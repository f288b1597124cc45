"""The commands that start an image in QEMU, and the one that puts a claim onto a card."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from boxos.board import find_board
from boxos.card import put_card
from boxos.crashes import try_crashes
from boxos.flavour import find_flavour
from boxos.lock import read_lock
from boxos.power import try_cuts
from boxos.recipe import Recipe
from boxos.recording import INDEX, read_recording, record
from boxos.rollback import try_rollbacks
from boxos.saying import print_json, report
from boxos.shipped import search_image
from boxos.trial import try_starts
from boxos.update import Built, try_update
from ritilib.errors import RitiError

BOX_OS = Path(__file__).parents[1]
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
BOUND = click.option(
    "--timeout", type=click.FloatRange(1), default=900, show_default=True, help="Seconds a start."
)


def find_cache() -> Path:
    """Where packages and all that is made are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "riti/boxos"


def read_last() -> Mapping[str, Any]:
    """What the last build left; RitiError where there was none."""
    try:
        said: Mapping[str, Any] = json.loads((find_cache() / "last.json").read_text())
        return said
    except FileNotFoundError:
        raise RitiError.because("nothing was built yet", "make image-build") from None


def read_built() -> Built:
    """What the last build left, as what an update is made of."""
    last = read_last()
    board = find_board(last["board"])
    recipe = Recipe(board, find_flavour(last["flavour"], board), last["version"])
    lock = read_lock(Path(last["lock"]))
    paths = {part: Path(path) for part, path in last["paths"].items()}
    return Built(
        paths["disk"],
        paths["boot"],
        paths["root"],
        recipe,
        Path(last["keys"]),
        lock.digest(last["flavour"]),
        lock.epoch,
    )


@click.command()
@click.argument("disk", type=FILE, required=False)
@click.option("--card", type=FOLDER, help="What `riti box claim` wrote.  [default: one of no fleet]")
@BOUND
@click.option("--more", default="", help="More arguments for the kernel.")
def boot(disk: Path | None, card: Path | None, timeout: float, more: str) -> None:
    """Search an image for secrets, and start it three times in QEMU: bare, and twice from a card. Prints how long each
    took, what it kept, and what a neighbour's scan of its ports finds.

    The image is copied, not written to; what its consoles say is kept in ~/.cache/riti/boxos/console.log.
    Without DISK: the one that was built last.
    Example: python -m boxos boot riti-box-virt-1.2.3.img
    """
    with _work() as work:
        last = read_last()
        image = disk or Path(last["paths"]["disk"])
        searched = search_image(image, Path(last["keys"]), work)
        report(f"no secret in {searched} files")
        print_json({"searched": searched, **try_starts(image, work, card, timeout, report, more)})


@click.command()
@BOUND
def update(timeout: float) -> None:
    """Update the image that was built last, in QEMU, to one with another agent: what must be refused, what cannot
    start, what works, and how much of the bundle is sent for it.

    Example: python -m boxos update
    """
    with _work() as work:
        print_json(try_update(read_built(), work, timeout, report))


@click.command()
@click.argument("faults", nargs=-1)
@BOUND
def rollback(faults: tuple[str, ...], timeout: float) -> None:
    """Try a version that does not work, of each kind, in QEMU: the box must go back by itself. FAULTS: those alone.

    Example: python -m boxos rollback panic hang
    """
    with _work() as work:
        print_json(try_rollbacks(Path(read_last()["paths"]["disk"]), work, timeout, report, faults))


@click.command()
@click.option("--cuts", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", type=int, help="Of the moments.  [default: another each time]")
@BOUND
def power(cuts: int, seed: int | None, timeout: float) -> None:
    """Cut the image that was built last off at random moments of starts, installations and tries, in QEMU.

    Example: python -m boxos power --cuts 50
    """
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    with _work() as work:
        print_json(try_cuts(read_built(), work, cuts, chosen, timeout, report))


@click.command()
@click.option("--states", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--seed", type=int, help="Of the states.  [default: another each time]")
@click.option("--only", type=click.IntRange(0), help="Of these states the one of that number.")
@click.option(
    "--recording",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where writes are recorded.  [default: beside the cache, one for each image]",
)
@BOUND
def crashes(states: int, seed: int | None, only: int | None, folder: Path | None, timeout: float) -> None:
    """Check what a cut may leave of a card that loses or reorders what was not flushed, in so many states.

    The writes of a first start, an installation and a try are recorded in QEMU once for each image; the states are
    then checked without it. Example: python -m boxos crashes --states 1000
    """
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    with _work() as work:
        place = folder or find_cache() / "recordings" / read_last()["sha256"]["disk"][:16]
        if (place / INDEX).exists():
            report(f"as it was recorded in {place}")
            recorded = read_recording(place)
        else:
            recorded = record(read_built(), work, place, timeout, report)
        print_json(try_crashes(recorded, work, states, chosen, report, only))


@click.command()
@click.argument("disk", type=click.Path(path_type=Path, exists=True))
@click.argument("claimed", type=FOLDER)
def card(disk: Path, claimed: Path) -> None:
    """Put the claim in folder CLAIMED onto DISK: an image, or a card that was just written.

    Example: riti box claim acme/salto --ca gateway-ca.pem --out card && python -m boxos card /dev/sdX card
    """
    put_card(disk, claimed)


@contextmanager
def _work() -> Iterator[Path]:
    # beside the cache: an image is larger than some machines' /tmp
    find_cache().mkdir(parents=True, exist_ok=True)
    (find_cache() / "console.log").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial.", dir=find_cache()) as name:
        yield Path(name)
