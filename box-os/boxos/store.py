"""What was made, kept by the digest of all that it was made from: the same inputs are never worked on twice."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Report = Callable[[str], None]
_MEGABYTE = 1_000_000


def hash_file(file: Path) -> str:
    """64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_tree(*roots: Path) -> str:
    """64 hex digits over the names, kinds and bytes of all that lies below roots, whatever the order on the disk.

    Python's own leavings do not count.
    """
    whole = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if "__pycache__" in path.parts or path.is_dir():
                continue
            whole.update(f"{path.relative_to(root.parent)}\0{path.lstat().st_mode:o}\0".encode())
            whole.update(os.readlink(path).encode() if path.is_symlink() else path.read_bytes())
            whole.update(b"\0")
    return whole.hexdigest()


@dataclass(frozen=True)
class Store:
    """folder keeps the results. fresh: make everything anew, to prove that it comes out the same."""

    folder: Path
    report: Report
    fresh: bool = False

    def make(self, name: str, inputs: Sequence[str], build: Callable[[Path], None]) -> Path:
        """The file or folder that build makes, made now where these inputs have none.

        build is given a path that does not exist, in a folder of its own, where it may keep what it needs meanwhile.
        Its own code is one of the inputs. What it made appears whole or not at all.
        """
        code = Path(build.__code__.co_filename).read_bytes()
        key = hashlib.sha256("\0".join((name, *inputs)).encode() + b"\0" + code).hexdigest()[:16]
        target = self.folder / f"{key}-{name}"
        if target.exists() and not self.fresh:
            return target
        started = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{name}-new.", dir=self.folder))
        try:
            made = work / name
            build(made)
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(made, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        size = "" if target.is_dir() else f", {target.stat().st_size / _MEGABYTE:.1f} MB"
        self.report(f"  {name}: {time.monotonic() - started:.1f} s{size}")
        return target
