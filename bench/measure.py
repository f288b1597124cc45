"""What benchmarks share: a stack of their own, and what the kernel says of a process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ritilib.devstack import stack as stacks


@contextmanager
def hold_stack(report: Callable[[str], None]) -> Iterator[stacks.Stack]:
    """A stack that is up, in a folder of its own; it goes down, and its data with it, at the end."""
    with tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        state = Path(folder) / "stack"
        try:
            yield stacks.up(state, report)
        finally:
            stacks.down(state, report, purge=True)


def read_memory_mb(pid: int) -> tuple[float, float]:
    """(RSS, PSS) of a process in MB, from /proc/<pid>/smaps_rollup."""
    kilobytes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, _ = line.split()
        kilobytes[name.rstrip(":")] = int(value)
    return kilobytes["Rss"] * 1024 / 1e6, kilobytes["Pss"] * 1024 / 1e6
