"""A stack of real servers for as long as some tests need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ritilib.devstack import stack as stacks


@contextmanager
def hold_stack(state: Path, drivers: tuple[str, ...] = ("docker",)) -> Iterator[stacks.Stack]:
    """A stack that is up; it goes down with the context, and its data with it."""
    try:
        yield stacks.up(state, print, drivers)
    finally:
        stacks.down(state, print, purge=True)
