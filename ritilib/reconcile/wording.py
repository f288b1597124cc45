"""Numbers and times as people are told them."""

from __future__ import annotations

from datetime import datetime


def count(number: int, what: str) -> str:
    """ "1 commit", "2 commits"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def say(time: datetime) -> str:
    """RFC 3339, to the second; UTC is "Z"."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
