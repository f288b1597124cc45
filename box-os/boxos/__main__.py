"""python -m boxos: lock, build, keys, and what tools are missing."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from importlib.metadata import version as find_installed
from pathlib import Path

import click

from boxos.apt import resolve_lock
from boxos.board import BOARDS, find_board
from boxos.build import Places, build_image
from boxos.bundle import make_keys
from boxos.emulate import boot as start
from boxos.flavour import FLAVOURS, find_flavour
from boxos.lock import compare, read_lock, write_lock
from boxos.programs import list_missing
from boxos.recipe import ARCHITECTURE, SUITE, Recipe
from boxos.saying import print_error, print_json, report
from boxos.store import Store
from ritilib.errors import RitiError

BOX_OS = Path(__file__).parents[1]
LOCK = BOX_OS / "locks" / f"{SUITE}-{ARCHITECTURE}.json"

MARKS = {"verified": "RITI initrd: root of partition", "started": ": started; slot="}


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "riti/boxos"


def _last() -> Path:
    return _cache() / "last.json"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def boxos() -> None:
    """The box's image. Example: python -m boxos build --board virt --flavour debian"""


@boxos.command()
def tools() -> None:
    """Print the Debian packages whose programs are missing, for apt-get install."""
    click.echo(" ".join(list_missing()))


@boxos.command()
def lock() -> None:
    """Resolve the newest packages and write the lock; what changes is told."""
    before = read_lock(LOCK) if LOCK.exists() else None
    found = resolve_lock(_cache() / "apt")
    beside = LOCK.with_name(LOCK.name + ".new")
    beside.parent.mkdir(exist_ok=True)
    beside.write_text(write_lock(found))
    beside.replace(LOCK)
    report(f"locked {len(found.packages)} packages; kernels: {', '.join(found.kernels)}")
    if before:
        print_json(asdict(compare(before, found)))


@boxos.command()
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False), help="Where they are kept.")
def keys(keys: Path | None) -> None:
    """Make the key that bundles are signed by. Example: python -m boxos keys --keys /safe/place"""
    make_keys(keys or _cache() / "keys")


@boxos.command()
@click.option("--board", type=click.Choice(sorted(BOARDS)), default="virt", show_default=True)
@click.option("--flavour", type=click.Choice(sorted(FLAVOURS)), default="debian", show_default=True)
@click.option("--version", help="The image's version.  [default: RITI's]")
@click.option(
    "--keys", type=click.Path(path_type=Path, file_okay=False), help="The folder with the signing key."
)
@click.option("--fresh", is_flag=True, help="Make everything anew, whatever was made before.")
def build(board: str, flavour: str, version: str | None, keys: Path | None, fresh: bool) -> None:
    """Make image, bundle and bill; prints where they lie, and their digests. A second run does nothing."""
    chosen = find_board(board)
    recipe = Recipe(chosen, find_flavour(flavour, chosen), version or find_installed("ritilib"))
    place = keys or _cache() / "keys"
    if keys is None and not place.exists():
        report("making a signing key of this machine's own: name the fleet's with --keys for boxes in use")
        make_keys(place)
    places = Places(BOX_OS, BOX_OS.parent, _cache(), place)
    began = time.monotonic()
    image = build_image(recipe, read_lock(LOCK), places, Store(_cache() / "made", report, fresh))
    paths = {part: str(getattr(image, part)) for part in image.digests()}
    sizes = {part: Path(path).stat().st_size for part, path in paths.items()}
    seconds = round(time.monotonic() - began, 1)
    made = {"paths": paths, "bytes": sizes, "sha256": image.digests(), "seconds": seconds}
    _last().write_text(json.dumps(made))
    print_json(made)


@boxos.command()
@click.argument("disk", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=False)
@click.option("--timeout", type=click.FloatRange(1), default=900, show_default=True, help="Seconds.")
@click.option("--tryboot", is_flag=True, help="As after an update: take the slot that is not committed.")
@click.option("--more", default="", help="More arguments for the kernel.")
@click.option("--console", is_flag=True, help="Print all that the console said.")
def boot(disk: Path | None, timeout: float, tryboot: bool, more: str, console: bool) -> None:
    """Start an image in QEMU by its own boot texts, until its services are up. It is copied, not written to.

    Without DISK: the one that was built last.
    Example: python -m boxos boot riti-box-virt-1.2.3.img
    """
    if disk is None:
        if not _last().exists():
            raise RitiError.because("nothing was built yet", "make image-build")
        disk = Path(json.loads(_last().read_text())["paths"]["disk"])
    done = start(disk, MARKS, timeout, report, tryboot, more)
    if console:
        click.echo(done.console, err=True)
    said = next(line for line in done.console.splitlines() if MARKS["started"] in line)
    print_json({"partition": done.partition, "seconds": done.seconds, "said": said.strip()})


def main() -> None:
    """Run the command; 0 fine, 1 error, 2 usage."""
    try:
        boxos()
    except RitiError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
