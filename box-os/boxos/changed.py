"""An image in which one package is another, made of one that was built: what an update is tried and measured with."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from boxos.boot_text import ARGUMENTS_FILE, write_arguments
from boxos.programs import run
from boxos.recipe import Recipe
from boxos.root_image import add_verity, write_erofs
from boxos.wheels import SITE, compile_python

_AGENT = f"{SITE}/ritilib"
_RELEASE = "usr/lib/os-release"


@dataclass(frozen=True)
class Slot:
    """What an update writes: a boot partition, and the root whose hash is on that one's command line."""

    boot: Path
    root: Path


def change_agent(slot: Slot, recipe: Recipe, work: Path, seed: str, epoch: int) -> Slot:
    """slot as recipe, the next version, would be, where every file of RITI's own package is another and nothing else.

    The files are made in folder work. erofs-utils 1.5 unpacks no set-id bits, so three programs lose theirs, which only
    root calls on a box.
    """
    tree = work / "changed"
    run(["fsck.erofs", f"--extract={tree}", slot.root])
    for source in sorted((tree / _AGENT).rglob("*.py")):
        source.write_text(mark(source.read_text(encoding="utf-8"), recipe.version), encoding="utf-8")
    compile_python(tree, _AGENT)
    release = tree / _RELEASE
    release.write_text(name_version(release.read_text(), recipe.version))
    packed, root, boot = work / "changed.erofs", work / "changed.root", work / "changed.boot"
    write_erofs(tree, packed, seed, epoch)
    verity = add_verity(packed, root, seed)
    shutil.rmtree(tree)
    packed.unlink()
    shutil.copyfile(slot.boot, boot)
    arguments = work / ARGUMENTS_FILE
    arguments.write_text(write_arguments(recipe.board, verity))
    run(["mcopy", "-o", "-i", boot, arguments, f"::{ARGUMENTS_FILE}"], epoch=epoch)
    return Slot(boot, root)


def mark(source: str, version: str) -> str:
    """A Python file with a line before its first one: all that is packed of it, and of its bytecode, is another."""
    return f"# of version {version}\n{source}"


def name_version(release: str, version: str) -> str:
    """os-release with another version of the image."""
    return re.sub(r"^IMAGE_VERSION=.*$", f'IMAGE_VERSION="{version}"', release, flags=re.MULTILINE)
