"""`riti render` and `riti validate` on whole fleets: seconds and memory, cold, and after one box changed.

Every figure is of the command as a person runs it, the start of Python included. The peer of the cold render is
`cp -r` of what it wrote, in the same run on the same disk: work of the same size without any thinking.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.lab.trees import Ran, Tree, hold_tree
from ritilib.errors import RitiError

SIZES = (100, 1_000, 10_000)
ROUNDS = 3


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each size of fleet; growth is the exponent since the size before (1: linear)."""
    figures: list[dict[str, Any]] = []
    for boxes in SIZES:
        with hold_tree(boxes) as tree:
            figure = _measure(tree, boxes, report)
        if figures:
            for name in ("seconds", "seconds_one_change", "validate_s"):
                before = figures[-1]
                growth = compute_growth(before["boxes"], before[name], boxes, figure[name])
                figure[f"growth_{name}"] = round(growth, 2)
        figures.append(figure)
    figures[-1]["seconds_10k"] = figures[-1]["seconds"]
    return figures


def compute_growth(small: int, small_s: float, large: int, large_s: float) -> float:
    """The exponent by which seconds grow with the size: 1 is linear, 2 is quadratic."""
    return math.log(large_s / small_s) / math.log(large / small)


def _measure(tree: Tree, boxes: int, report: Callable[[str], None]) -> dict[str, Any]:
    report(f"validating {boxes} boxes")
    validated = tree.run("validate")
    shutil.rmtree(tree.cache)  # what it remembered
    report(f"rendering {boxes} boxes")
    rendered = tree.run("render")
    report(f"changing one of {boxes} boxes {ROUNDS} times")
    changed, judged = [], []
    for number in range(ROUNDS):
        company = tree.change_box(f"Other{number} Telephone")
        judged.append(tree.run("validate"))
        changed.append(tree.run("render"))
        _refuse_others(changed[-1], company)
    nothing = [tree.run("render") for _ in range(ROUNDS)]
    copied_s = _time_copy(tree.root / "rendered", tree.cache / "copy")
    return {
        "bench": "render",
        "boxes": boxes,
        "seconds": round(rendered.seconds, 2),
        "cpu_s": round(rendered.cpu_s, 2),
        "peer_seconds": round(copied_s, 2),
        "ratio": round(rendered.seconds / copied_s, 2),
        "peak_mb": round(max(one.peak_mb for one in (rendered, validated, *changed)), 0),
        "seconds_one_change": round(statistics.median(one.seconds for one in changed), 2),
        "cpu_s_one_change": round(statistics.median(one.cpu_s for one in changed), 2),
        "seconds_nothing": round(statistics.median(one.seconds for one in nothing), 2),
        "validate_s": round(validated.seconds, 2),
        "validate_one_change_s": round(statistics.median(one.seconds for one in judged), 2),
        "files": len(rendered.lines),
        "text_mb": round(_count_bytes(tree.root / "rendered") / 1e6, 1),
    }


def _refuse_others(changed: Ran, company: str) -> None:
    """Only the changed company's files may have been written; else the figure is of something else."""
    others = [line for line in changed.lines if f"\trendered/{company}/" not in line]
    if others or not changed.lines:
        raise RitiError.because(
            f"a change of one box of {company} wrote {others[:1] or 'nothing'}", "see `riti render`"
        )


def _time_copy(source: Path, target: Path) -> float:
    start = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    return time.perf_counter() - start


def _count_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
