"""Where the folders jobs/ and repo-layout/ are: in the checkout, or in the wheel as ritilib/_assets."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def find_assets(folder: str) -> Path:
    """The path of one asset folder ("jobs" or "repo-layout"); FileNotFoundError where an install lost it."""
    for parent in (_PACKAGE / "_assets", _PACKAGE.parent):
        if (parent / folder).is_dir():
            return parent / folder
    raise FileNotFoundError(f"{folder}/ is neither in ritilib/_assets nor beside ritilib/")
