"""The manifest of a RAUC bundle, and RAUC's own settings on the box."""

from __future__ import annotations

from boxos.layout import BOOT_A, BOOT_B, LABELS, ROOT_A, ROOT_B
from boxos.recipe import Recipe

BOOT_IMAGE, ROOT_IMAGE = "boot.vfat", "root.img"


def write_manifest(recipe: Recipe, made: str) -> str:
    """manifest.raucm. made is when, by the lock ("20261030"), not by a clock. RAUC fills in size and SHA-256.

    Format verity: the bundle is read over HTTP piece by piece, each piece verified, and never lies on the card.
    """
    return f"""\
[update]
compatible={recipe.board.compatible}
version={recipe.version}
build={made}

[bundle]
format=verity

[image.boot]
filename={BOOT_IMAGE}

[image.root]
filename={ROOT_IMAGE}
"""


def write_system(recipe: Recipe) -> str:
    """RAUC's system.conf: slots A and B, each a boot partition and the root that goes with it.

    By their names, not their numbers: those come of the lock, and a card keeps what it was flashed with. What is older
    than the image that runs is refused. Which slot is tried and committed is autoboot.txt's, which RAUC does not know:
    our own program does it (onbox/slot.py).
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
mountprefix=/run/rauc

[keyring]
path=/etc/rauc/keyring.pem
check-purpose=codesign

[handlers]
bootloader-custom-backend=/usr/lib/riti/slot
{slots}"""
