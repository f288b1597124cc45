"""python -m boxos: lock, build, keys, and what tools are missing."""

from __future__ import annotations

import sys
import time
from importlib.metadata import version as find_installed
from pathlib import Path

import click

from boxos.apt import resolve_lock
from boxos.board import BOARDS, find_board
from boxos.build import Places, build_image
from boxos.bundle import make_keys
from boxos.flavour import FLAVOURS, find_flavour
from boxos.lock import compare, read_lock, write_lock
from boxos.programs import list_missing
from boxos.recipe import ARCHITECTURE, SUITE, Recipe
from boxos.store import Store
from ritilib.cli.printing import print_error, print_json, report
from ritilib.devstack.folders import find_cache
from ritilib.errors import RitiError

BOX_OS = Path(__file__).parents[1]
LOCK = BOX_OS / "locks" / f"{SUITE}-{ARCHITECTURE}.json"


def _cache() -> Path:
    return find_cache() / "boxos"


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
        print_json(compare(before, found))


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
    print_json({"paths": paths, "bytes": sizes, "sha256": image.digests(), "seconds": seconds})


def main() -> None:
    """Run the command; 0 fine, 1 error, 2 usage."""
    try:
        boxos()
    except RitiError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
