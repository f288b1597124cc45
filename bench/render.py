"""Reading and rendering whole fleets: seconds and memory, beside the bare writing of the same files.

Each size runs in a process of its own, so that its memory is its own. The peer is work that `riti render` cannot
do without, whoever renders: putting the files on this disk.
"""

from __future__ import annotations

import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.lab.fleets import make_fleet
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree

SIZES = (100, 1_000, 10_000)
# a size that would take longer than this, judged by the one before, is left to a machine with time
MOST_S = 60.0


@dataclass(frozen=True)
class Rendered:
    """What one process found: seconds, bytes of text, and the peak of its resident memory in MB."""

    load_s: float
    render_s: float
    write_s: float
    files: int
    size_mb: float
    peak_mb: float

    @property
    def seconds(self) -> float:
        return self.load_s + self.render_s


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each size of fleet; growth is the exponent since the size before (1: linear)."""
    figures: list[dict[str, Any]] = []
    before: tuple[int, Rendered] | None = None
    for boxes in SIZES:
        if before and before[1].seconds * boxes / before[0] > MOST_S:
            report(f"leaving {boxes} boxes out: they would take more than {MOST_S:.0f} s here")
            break
        report(f"rendering {boxes} boxes")
        found = _render_apart(boxes)
        figure = {
            "bench": "render",
            "boxes": boxes,
            "seconds": round(found.seconds, 3),
            "load_s": round(found.load_s, 3),
            "render_s": round(found.render_s, 3),
            "peer_seconds": round(found.write_s, 3),
            "ratio": round(found.seconds / found.write_s, 2),
            "peak_rss_mb": round(found.peak_mb, 1),
            "files": found.files,
            "text_mb": round(found.size_mb, 1),
        }
        if before:
            figure["growth"] = round(compute_growth(before[0], before[1].seconds, boxes, found.seconds), 2)
        figures.append(figure)
        before = boxes, found
    return figures


def compute_growth(small: int, small_s: float, large: int, large_s: float) -> float:
    """The exponent by which seconds grow with the size: 1 is linear, 2 is quadratic."""
    return math.log(large_s / small_s) / math.log(large / small)


def _render_apart(boxes: int) -> Rendered:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(render_here, boxes).result()


def render_here(boxes: int) -> Rendered:
    """Load and render a fleet in this process, then write the tree's files as plainly as can be."""
    files = make_fleet(boxes)
    render_tree(load_fleet(make_fleet(1)), make_fleet(1), version("ritilib"))  # templates are compiled once
    start = time.perf_counter()
    loaded = load_fleet(files)
    read = time.perf_counter()
    tree = render_tree(loaded, files, version("ritilib"))
    done = time.perf_counter()
    peak_mb = _read_peak_mb()
    return Rendered(
        load_s=read - start,
        render_s=done - read,
        write_s=_write(tree),
        files=len(tree),
        size_mb=sum(map(len, tree.values())) / 1e6,
        peak_mb=peak_mb,
    )


def _read_peak_mb() -> float:
    """VmHWM of this process; getrusage would count the parent's memory from before the exec as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kilobytes * 1024 / 1e6


def _write(tree: dict[str, str]) -> float:
    """Seconds to write the files into new folders."""
    with tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        root = Path(folder)
        start = time.perf_counter()
        for parent in {(root / path).parent for path in tree}:
            parent.mkdir(parents=True, exist_ok=True)
        for path, text in tree.items():
            (root / path).write_text(text)
        return time.perf_counter() - start
