"""python -m boxos: lock, keys, build, and what an image does in QEMU."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version as find_installed
from pathlib import Path

import click

from boxos.adaptive import compare as compare_images
from boxos.adaptive import describe
from boxos.apt import resolve_lock
from boxos.board import BOARDS, find_board
from boxos.build import Image, Places, build_image
from boxos.bundle import make_keys
from boxos.flavour import FLAVOURS, find_flavour
from boxos.lock import compare, read_lock, write_lock
from boxos.programs import list_missing
from boxos.recipe import ARCHITECTURE, SUITE, Recipe
from boxos.running import (
    BOX_OS,
    FILE,
    boot,
    card,
    crashes,
    find_cache,
    power,
    read_last,
    rollback,
    update,
)
from boxos.saying import print_error, print_json, report
from boxos.store import Store
from ritilib.errors import RitiError

LOCK = BOX_OS / "locks" / f"{SUITE}-{ARCHITECTURE}.json"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def boxos() -> None:
    """The box's image. Example: python -m boxos build --board virt --flavour debian"""


for command in (boot, update, rollback, power, crashes, card):
    boxos.add_command(command)


@boxos.command()
def tools() -> None:
    """Print the Debian packages whose programs are missing, for apt-get install."""
    click.echo(" ".join(list_missing()))


@boxos.command()
def lock() -> None:
    """Resolve the newest packages and write the lock; what changes is told."""
    before = read_lock(LOCK) if LOCK.exists() else None
    found = resolve_lock(find_cache() / "apt")
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
    make_keys(keys or find_cache() / "keys")


@boxos.command()
@click.option("--board", type=click.Choice(sorted(BOARDS)), default="virt", show_default=True)
@click.option("--flavour", type=click.Choice(sorted(FLAVOURS)), default="debian", show_default=True)
@click.option("--version", help="The image's version.  [default: RITI's]")
@click.option(
    "--keys", type=click.Path(path_type=Path, file_okay=False), help="The folder with the signing key."
)
@click.option("--fresh", is_flag=True, help="Make everything anew, whatever was made before.")
def build(board: str, flavour: str, version: str | None, keys: Path | None, fresh: bool) -> None:
    """Make image, bundle and bill; prints where they lie, their digests, and what a box that has the image
    that was built last would fetch of this one. A second run does nothing."""
    chosen = find_board(board)
    recipe = Recipe(chosen, find_flavour(flavour, chosen), version or find_installed("ritilib"))
    place = keys or find_cache() / "keys"
    if keys is None and not place.exists():
        report("making a signing key of this machine's own: name the fleet's with --keys for boxes in use")
        make_keys(place)
    began = time.monotonic()
    image = _build(recipe, place, Store(find_cache() / "made", report, fresh))
    paths = {part: str(getattr(image, part)) for part in image.digests()}
    made = {
        "board": board,
        "flavour": flavour,
        "version": recipe.version,
        "keys": str(place.resolve()),
        "lock": str(LOCK),
        "paths": paths,
        "bytes": {part: Path(path).stat().st_size for part, path in paths.items()},
        "sha256": image.digests(),
        "seconds": round(time.monotonic() - began, 1),
    }
    made["update"] = _compare_with_last(paths)
    (find_cache() / "last.json").write_text(json.dumps(made))
    print_json(made)


@boxos.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
def difference(old: Path, new: Path) -> None:
    """What a box that has OLD, a root or boot partition, fetches of NEW: its blocks that are in no place of OLD.

    Example: python -m boxos difference old/root.img new/root.img
    """
    print_json(describe(compare_images(old, new)))


@boxos.command()
def reproduce() -> None:
    """Make the image that was built last once more, all of it, elsewhere; 1 where a byte of it is another."""
    last = read_last()
    board = find_board(last["board"])
    recipe = Recipe(board, find_flavour(last["flavour"], board), last["version"])
    began = time.monotonic()
    # another folder, of another length: what carries a path of the building machine's comes out as another
    with tempfile.TemporaryDirectory(prefix="built-once-more.", dir=find_cache()) as name:
        digests = _build(recipe, Path(last["keys"]), Store(Path(name), report)).digests()
    differ = sorted(part for part, digest in digests.items() if digest != last["sha256"][part])
    print_json({"sha256": digests, "differ": differ, "seconds": round(time.monotonic() - began, 1)})
    if differ:
        raise RitiError.because(
            f"built twice, these differ: {', '.join(differ)}", "see boxos/build.py's steps"
        )


def _compare_with_last(paths: dict[str, str]) -> dict[str, dict[str, float]]:
    """Of boot and root, where the last build's are still there."""
    try:
        before = read_last()["paths"]
    except RitiError:
        return {}
    return {
        part: describe(compare_images(Path(before[part]), Path(paths[part])))
        for part in ("boot", "root")
        if Path(before[part]).is_file()
    }


def _build(recipe: Recipe, keys: Path, store: Store) -> Image:
    return build_image(recipe, read_lock(LOCK), Places(BOX_OS, BOX_OS.parent, find_cache(), keys), store)


def main() -> None:
    """Run the command; 0 fine, 1 error, 2 usage."""
    try:
        boxos()
    except RitiError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
