"""What the file system says of files without reading them, so that what was read once is not read again.

A stamp is (mode, size, mtime in ns, ctime in ns, inode). The kernel sets ctime at every change of a file, and no
program can set it back; only a change within the same tick of its clock as the stamp's can go unseen, so a stamp as
young as that is not believed (Git's index has the same rule, Documentation/technical/racy-git).
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

Stamp = tuple[int, int, int, int, int]

# A tick is 10 ms at the longest (CONFIG_HZ=100); the rest is for a server's clock a little behind ours.
SETTLED_NS = 100_000_000


def read_stamp(place: str | Path) -> Stamp:
    """The stamp of one file; a link's is its own."""
    found = os.lstat(place)
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_settled(stamp: Stamp, seen_ns: int) -> bool:
    """Whether a change after seen_ns (nanoseconds of the clock, taken before the stamp) must show in the stamp."""
    return max(stamp[2], stamp[3]) < seen_ns - SETTLED_NS


def walk_stamps(root: Path, top: str) -> Iterator[tuple[str, Stamp]]:
    """(path relative to root, stamp) of all that lies at or under top and is no folder; sorted in each folder."""
    base = str(root)
    try:
        found = read_stamp(f"{base}/{top}")
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found[0]):
        yield top, found
        return
    folders = [top]
    while folders:
        folder = folders.pop()
        for name in sorted(os.listdir(f"{base}/{folder}")):
            path = f"{folder}/{name}"
            found = read_stamp(f"{base}/{path}")
            if stat.S_ISDIR(found[0]):
                folders.append(path)
            else:
                yield path, found


def digest_stamps(root: Path, top: str) -> str:
    """40 hex digits over every path and stamp under top, so that equal ones mean files unchanged.

    "" where one of them is too young to be believed, or nothing is there.
    """
    seen_ns = time.time_ns()
    found = list(walk_stamps(root, top))
    if not found or not all(is_settled(stamp, seen_ns) for _, stamp in found):
        return ""
    return digest_found(found)


def digest_found(found: list[tuple[str, Stamp]]) -> str:
    """The digest of what walk_stamps gave."""
    return hashlib.blake2b(repr(found).encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
