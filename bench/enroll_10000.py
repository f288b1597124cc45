"""Ten thousand boxes that enroll at once, and come back after ten minutes without anything: half an hour and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.enroll import Size, run_size

SIZE = Size(
    10_000, False, 600.0, without_jitter=False
)  # without jitter is computed: it is the size in one second


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Objects as bench.enroll's."""
    return run_size(SIZE, report)
