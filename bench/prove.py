"""Proving whole fleets: every pair of telephones and every emergency call under every single failure.

The floor is what any such command cannot do without, reading and judging the same fleet. Every second office has a line
of its own, so that every rung is taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from bench.lab.fleets import make_fleet
from ritilib.fleet.load import load_fleet
from ritilib.routing.directory import build_directory
from ritilib.routing.proof import Proof, prove_company

SIZES = (100, 1_000, 10_000)
PER_COMPANY = 50


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object for each size; growth is the exponent since the size before (1: linear)."""
    figures: list[dict[str, Any]] = []
    for boxes in SIZES:
        report(f"proving {boxes} boxes")
        figure = measure(boxes)
        if figures:
            before = figures[-1]
            tenfold = math.log(boxes / before["boxes"])
            figure["growth"] = round(math.log(figure["seconds"] / before["seconds"]) / tenfold, 2)
        figures.append(figure)
    figures[-1]["seconds_10k"] = figures[-1]["seconds"]
    return figures


def measure(boxes: int) -> dict[str, Any]:
    """Seconds of reading and proving a fleet of so many boxes, and what the proof counts."""
    files = make_fleet(boxes, PER_COMPANY)
    for number in range(0, boxes, 2):
        company, place = divmod(number, PER_COMPANY)
        line = f'line: {{number: "+{59820000000 + number * 10}"}}\n'
        files[f"fleet/boxes/c{company}/b{place}.yaml"] += line.encode()
    start = time.perf_counter()
    fleet = load_fleet(files).fleet
    read = time.perf_counter()
    proofs = [prove_company(build_directory(fleet, company)) for company in fleet.companies]
    seconds, floor_s = time.perf_counter() - start, read - start
    return {
        "bench": "prove",
        "boxes": boxes,
        "seconds": round(seconds, 3),
        "floor_seconds": round(floor_s, 3),
        "ratio": round(seconds / floor_s, 2),
        "calls": sum(proof.calls for proof in proofs),
        "lost": sum(proof.lost for proof in proofs),
        "gaps": sum(len(proof.gaps) for proof in proofs),
        **{f"by_{rung}": _count(proofs, rung) for rung in ("cloud", "direct", "line")},
    }


def _count(proofs: list[Proof], rung: str) -> int:
    return sum(proof.rungs.get(rung, 0) for proof in proofs)
