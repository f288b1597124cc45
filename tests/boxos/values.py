"""Values that tests of the image are made with."""

from __future__ import annotations

from boxos.board import find_board
from boxos.flavour import FLAVOURS
from boxos.lock import Lock, Package
from boxos.recipe import Recipe

VIRT = Recipe(find_board("virt"), FLAVOURS["debian"], "1.2.3")


def make_package(name: str, version: str = "1.0-1", sha256: str = "a" * 64) -> Package:
    file = f"pool/main/x/{name}_{version.replace(':', '%3a')}_arm64.deb"
    return Package(name=name, version=version, file=file, sha256=sha256, size=7)


def make_lock(*packages: Package, kernel: str = "b" * 64) -> Lock:
    return Lock(
        suite="forky",
        architecture="arm64",
        epoch=1790000000,
        packages=packages or (make_package("zlib1g"), make_package("asterisk")),
        kernels={"debian": (make_package("linux-binary-7", sha256=kernel),)},
    )
