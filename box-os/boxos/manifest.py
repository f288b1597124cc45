"""The manifest of a RAUC bundle, and RAUC's own settings on the box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from boxos.layout import BOOT_A, BOOT_B, LABELS, ROOT_A, ROOT_B
from boxos.recipe import Recipe

BOOT_IMAGE, ROOT_IMAGE = "boot.vfat", "root.img"
ADAPTIVE = "block-hash-index"  # RAUC's name of the method, and of the file beside each image


@dataclass(frozen=True)
class Payload:
    """images: file → SHA-256 and bytes; the rest is what dm-verity must know of the squashfs that holds them."""

    images: Mapping[str, tuple[str, int]]
    root_hash: str
    salt: str
    tree_bytes: int


def name_day(epoch: int) -> str:
    """The day of the lock, by which people tell builds apart: "20261030"."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d")


def write_manifest(recipe: Recipe, made: str, payload: Payload) -> str:
    """manifest.raucm. made is when, by the lock ("20261030"), not by a clock.

    Format verity: the bundle is read over HTTP piece by piece, each piece verified, and never lies on the card.
    Adaptive: of each image only the blocks are read that neither slot has.
    """
    images = "".join(
        f"\n[image.{slot}]\nsha256={payload.images[name][0]}\nsize={payload.images[name][1]}\nfilename={name}\nadaptive={ADAPTIVE}\n"
        for slot, name in (("boot", BOOT_IMAGE), ("root", ROOT_IMAGE))
    )
    return f"""\
[update]
compatible={recipe.board.compatible}
version={recipe.version}
build={made}

[bundle]
format=verity
verity-hash={payload.root_hash}
verity-salt={payload.salt}
verity-size={payload.tree_bytes}
{images}"""


def write_system(recipe: Recipe) -> str:
    """RAUC's system.conf: slots A and B, each a boot partition and the root that goes with it.

    By their names, not their numbers: those come of the lock, and a card keeps what it was flashed with. What is older
    than the image that runs is refused. Which slot is tried and committed is autoboot.txt's, which RAUC does not know:
    our own program does it (onbox/slot.py).

    Without data-directory RAUC takes every bundle whole. What it keeps there, the index of what it wrote last, only
    tells where to look: each block found is hashed again, so an index that a power cut made wrong costs bytes alone.
    """
    slots = "\n".join(
        f"""
[slot.boot.{index}]
device=/dev/disk/by-partlabel/{LABELS[boot]}
type=raw
bootname={name}

[slot.root.{index}]
device=/dev/disk/by-partlabel/{LABELS[root]}
type=raw
parent=boot.{index}
"""
        for index, name, boot, root in ((0, "A", BOOT_A, ROOT_A), (1, "B", BOOT_B, ROOT_B))
    )
    return f"""\
[system]
compatible={recipe.board.compatible}
bootloader=custom
bundle-formats=verity
min-bundle-version={recipe.version}
statusfile=/data/rauc/status
data-directory=/data/rauc
mountprefix=/run/rauc

[keyring]
path=/etc/rauc/keyring.pem
check-purpose=codesign

[handlers]
bootloader-custom-backend=/usr/lib/riti/slot
{slots}"""
