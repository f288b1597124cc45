"""A file system that is soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_small_disk(folder: Path, *of_umount: str) -> Iterator[Path]:
    """A file system of 4 MB at a new folder; of_umount: options of the umount at its end."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", *of_umount, str(folder)], check=True)
