"""Makes one folder of the work tree what it should be, and says how it can be known again without reading it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ritilib.gitops.diff import Change, compare, read_found, write_changes
from ritilib.gitops.stamps import digest_stamps, digest_values, list_stamps


@dataclass(frozen=True)
class Brought:
    """What one folder needed.

    stamp is the digest of its files' stamps when they were found to be right, "" where that is not known.
    own tells what was just written from what another program may write over it: a digest of path, inode, mtime, size.
    """

    changes: tuple[Change, ...]
    stamp: str = ""
    own: str = ""


def bring_folder(root: Path, top: str, wanted: Mapping[str, str], write: bool) -> Brought:
    """Compare all that lies under top with wanted (path → text, {} for nothing), and make it so where write says so.

    Stamps are taken before anything is read, so that whatever changes meanwhile has another stamp afterwards.
    """
    seen_ns = time.time_ns()
    found = list_stamps(root, top)
    changes = compare(read_found(root, found), wanted)
    if not changes:
        return Brought((), digest_stamps(found, seen_ns))
    if not write:
        return Brought(changes)
    written = write_changes(root, changes, wanted)
    own = {path: (stamp[4], stamp[2], stamp[1]) for path, stamp in found if path in wanted} | written
    return Brought(changes, own=digest_values(sorted(own.items())))


def look_folder(root: Path, top: str) -> str:
    """The digest of the stamps that the files under top have now; as digest_stamps."""
    seen_ns = time.time_ns()
    return digest_stamps(list_stamps(root, top), seen_ns)


def settle_folder(root: Path, top: str, brought: Brought) -> str:
    """The stamp of a folder that was written some time ago: "" if it is not ours any more, or too young to tell."""
    if not brought.own:
        return brought.stamp
    seen_ns = time.time_ns()
    found = list_stamps(root, top)
    own = digest_values([(path, (stamp[4], stamp[2], stamp[1])) for path, stamp in found])
    return digest_stamps(found, seen_ns) if own == brought.own else ""
