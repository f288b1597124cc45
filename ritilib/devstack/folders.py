"""Where the local stack keeps things: what is built (cache) and what runs (state)."""

from __future__ import annotations

import os
from pathlib import Path


def find_cache() -> Path:
    """${XDG_CACHE_HOME:-~/.cache}/riti: built servers, images; shared by every stack of this account."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "riti"


def find_state() -> Path:
    """${XDG_STATE_HOME:-~/.local/state}/riti/dev: data, logs and tokens of the stack one gets by default."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "riti" / "dev"


def write_private(path: Path, text: str) -> None:
    """Write text to path, readable by its owner only, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
