"""What people push to a forge that is mirrored, and what lies in a mirror's folder."""

from __future__ import annotations

from pathlib import Path


def push_change(clone, message: str = "a change") -> str:
    commit = clone.commit(message)
    clone.git("push", "--quiet", "--force", "origin", "main")
    return commit


def rewrite(clone, depth: int = 1) -> str:
    """Another commit in the place of the last ones, pushed with force."""
    clone.git("reset", "--quiet", "--hard", f"HEAD~{depth}")
    return push_change(clone, "written anew")


def list_places(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
