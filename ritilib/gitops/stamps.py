"""What the file system says of files without reading them, so that what was read once is not read again.

A stamp is (mode, size, mtime in ns, ctime in ns, inode). The kernel sets ctime at every change of a file, and no
program can set it back; only a change within the same tick of its clock as the stamp's can go unseen, so a stamp as
young as that is not believed (Git's index has the same rule, Documentation/technical/racy-git).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

Stamp = tuple[int, int, int, int, int]

# A tick is 10 ms at the longest (CONFIG_HZ=100); the rest is for a server's clock a little behind ours.
SETTLED_NS = 100_000_000


def read_stamp(place: str | Path) -> Stamp:
    """The stamp of one file; a link's is its own."""
    return to_stamp(os.lstat(place))


def to_stamp(one: os.stat_result) -> Stamp:
    return one.st_mode, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino


def is_settled(stamp: Stamp, seen_ns: int) -> bool:
    """Whether a change after seen_ns (nanoseconds of the clock, taken before the stamp) must show in the stamp."""
    return max(stamp[2], stamp[3]) < seen_ns - SETTLED_NS


def list_stamps(root: Path, top: str) -> list[tuple[str, Stamp]]:
    """(path relative to root, stamp), sorted, of all at or under top that is no folder; no link is followed."""
    try:
        place = read_stamp(root / top)
    except FileNotFoundError:
        return []
    if not stat.S_ISDIR(place[0]):
        return [(top, place)]
    found: list[tuple[str, Stamp]] = []
    _list_folder(os.open(root / top, os.O_RDONLY | os.O_DIRECTORY), top, found)
    return sorted(found)


def _list_folder(handle: int, folder: str, found: list[tuple[str, Stamp]]) -> None:
    """Add what is under the open folder; by handles, so that the kernel need not walk eight folders a file."""
    below = []
    try:
        with os.scandir(handle) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                    continue
                found.append((f"{folder}/{entry.name}", to_stamp(entry.stat(follow_symlinks=False))))
        for name in below:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            _list_folder(inner, f"{folder}/{name}", found)
    finally:
        os.close(handle)


def digest_stamps(found: Sequence[tuple[str, Stamp]], seen_ns: int) -> str:
    """40 hex digits over what list_stamps gave, so that equal ones mean files unchanged.

    seen_ns is the clock before it was asked. "" where a stamp is too young to be believed, or nothing is there.
    """
    young_ns = seen_ns - SETTLED_NS
    if not found or any(stamp[2] >= young_ns or stamp[3] >= young_ns for _, stamp in found):
        return ""
    return digest_values(found)


def digest_values(found: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    """40 hex digits over paths and numbers."""
    return hashlib.blake2b(repr(found).encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
