"""A root file system put into Docker as an image, by way of a tar that does not stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ritilib.clients.docker import Docker
from ritilib.devstack.images.archive import Root, write_tar

RECIPE_LABEL = "riti.recipe"
MEGABYTE = 1_000_000


def put_image(
    root: Root,
    name: str,
    changes: Sequence[str],
    recipe: str,
    docker: Docker,
    tar: Path,
    report: Callable[[str], None],
) -> None:
    """Make the image name of root, with these Dockerfile lines, known by its recipe. ServerError where Docker refuses.

    Whoever calls holds a lock of its own: no other writes tar meanwhile.
    """
    try:
        size = write_tar(root, tar)
        docker.import_image(tar, name, (*changes, f"LABEL {RECIPE_LABEL}={recipe}"))
    finally:
        tar.unlink(missing_ok=True)
    report(f"made image {name}: {size / MEGABYTE:.1f} MB unpacked")
