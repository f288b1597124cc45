"""Files that outlive a power cut: written beside, synced, renamed, and the folder synced too.

Without the folder's sync an immediate cut loses the rename although the file itself is on the disk (BOX.md, Traps).
"""

from __future__ import annotations

import os
from pathlib import Path


def write_durable(path: Path, text: str, mode: int = 0o600, group: int | None = None) -> None:
    """path holds the whole text after this, or what it held before; group is who may read it by mode's middle digit."""
    beside = path.with_name(path.name + ".new")
    write_synced(beside, text, mode, group)
    beside.rename(path)
    sync_folder(path.parent)


def write_synced(path: Path, text: str, mode: int = 0o600, group: int | None = None) -> None:
    """Write a file that nobody reads yet, down to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        give_group(file.fileno(), mode, group)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: Path, mode: int, group: int | None) -> None:
    """A folder of this mode and group, whatever it had before; its parent is synced by whoever needs that."""
    path.mkdir(mode=mode, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        give_group(handle, mode, group)
    finally:
        os.close(handle)


def give_group(handle: int, mode: int, group: int | None) -> None:
    """The mode whatever the umask, and the group where one is given: the owner must be a member of it."""
    if group is not None and os.fstat(handle).st_gid != group:
        os.fchown(handle, -1, group)
    os.fchmod(handle, mode)


def link_durable(path: Path, target: str) -> None:
    """path is a symbolic link to target after this, or what it was before: nobody finds it absent in between."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
