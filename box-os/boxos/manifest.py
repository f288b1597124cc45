"""The manifest of a RAUC bundle, and RAUC's own settings on the box."""

from __future__ import annotations

from boxos.board import Board
from boxos.layout import BOOT_A, BOOT_B, ROOT_A, ROOT_B, Layout
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


def write_system(board: Board, layout: Layout) -> str:
    """RAUC's system.conf: slots A and B, each a boot partition and the root that goes with it.

    Which slot is tried and committed is autoboot.txt's, which RAUC does not know: our own program does it.
    """
    slots = "\n".join(
        f"""
[slot.boot.{index}]
device=/dev/disk/by-partuuid/{layout.find(boot).uuid}
type=raw
bootname={name}

[slot.root.{index}]
device=/dev/disk/by-partuuid/{layout.find(root).uuid}
type=raw
parent=boot.{index}
"""
        for index, name, boot, root in ((0, "A", BOOT_A, ROOT_A), (1, "B", BOOT_B, ROOT_B))
    )
    return f"""\
[system]
compatible={board.compatible}
bootloader=custom
bundle-formats=verity
statusfile=/data/rauc/status
mountprefix=/run/rauc

[keyring]
path=/etc/rauc/keyring.pem
check-purpose=codesign

[handlers]
bootloader-custom-backend=/usr/lib/riti/slot
{slots}"""
