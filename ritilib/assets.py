"""Where the folders jobs/ and repo-layout/, and the lock, are: in the checkout, or in the wheel as ritilib/_assets."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
ASSETS = ("jobs", "repo-layout", "requirements.txt")


def find_assets(name: str) -> Path:
    """The path of one of ASSETS; FileNotFoundError where an install lost it."""
    for parent in (_PACKAGE / "_assets", _PACKAGE.parent):
        if (parent / name).exists():
            return parent / name
    raise FileNotFoundError(f"{name} is neither in ritilib/_assets nor beside ritilib/")
