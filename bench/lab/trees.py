"""A fleet's work tree in a folder of its own, and `riti` run in it as a person would: a process each time."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.lab.fleets import make_fleet
from bench.measure import read_memory_mb
from ritilib.errors import RitiError

PER_COMPANY = 50
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Ran:
    """One command: seconds until it ended, lines that it printed, and the most memory of all its processes, in MB.

    cpu_s are the seconds of CPU of all its processes: on a machine that does something else too, these travel. The
    memory is the sum of their PSS (what they share counts once), looked at every 0.1 s.
    """

    seconds: float
    cpu_s: float
    lines: tuple[str, ...]
    peak_mb: float


@dataclass(frozen=True)
class Tree:
    """A work tree; cache is where its commands remember."""

    root: Path
    cache: Path

    def run(self, *words: str) -> Ran:
        """`riti *words` here; RitiError with its last words where it fails."""
        command = (sys.executable, "-m", "ritilib", *words, "--repo", str(self.root))
        return run_measured(command, {"XDG_CACHE_HOME": str(self.cache)})

    def change_box(self, name: str) -> str:
        """Give a telephone of one box in the middle another name; gives its company's slug."""
        boxes = sorted((self.root / "fleet" / "boxes").glob("*/*.yaml"))
        place = boxes[len(boxes) // 2]
        place.write_text(
            re.sub("^    name: .*$", f"    name: {name}", place.read_text(), count=1, flags=re.M)
        )
        return place.parent.name


@contextmanager
def hold_tree(boxes: int) -> Iterator[Tree]:
    """A work tree of so many boxes, 50 to a company, not rendered yet; it ends with the context."""
    with TemporaryDirectory(prefix="riti-bench.") as folder:
        tree = Tree(Path(folder) / "repo", Path(folder) / "cache")
        for path, content in make_fleet(boxes, PER_COMPANY).items():
            place = tree.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        yield tree


def run_measured(command: Sequence[str], extra: dict[str, str]) -> Ran:
    """Run a command to its end with extra in its environment; RitiError where it fails."""
    start, before_s = time.perf_counter(), read_children_cpu_s()
    child = subprocess.Popen(
        command, env=os.environ | extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    ended, peaks = threading.Event(), [0.0]

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            peaks.append(sum(map(_read_pss_mb, _list_family(child.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output, errors = child.communicate()
    finally:
        ended.set()
        watcher.join()
    seconds = time.perf_counter() - start
    if child.returncode != 0:
        raise RitiError.because(f"`{' '.join(command)}` ended with {child.returncode}", errors[-500:])
    return Ran(seconds, read_children_cpu_s() - before_s, tuple(output.splitlines()), max(peaks))


def read_children_cpu_s() -> float:
    """Seconds of CPU, the kernel's for them included, of all processes that this one has started and buried."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _list_family(pid: int) -> list[int]:
    """A process and all that came of it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _list_family(int(child)))]


def _read_pss_mb(pid: int) -> float:
    try:
        return read_memory_mb(pid)[1]
    except (OSError, KeyError):
        return 0.0  # it has just ended
