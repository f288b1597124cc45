"""What ten thousand boxes' values ask of Python and of the C library beneath it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_M_ARENA_MAX = -8  # <malloc.h> of glibc


def share_heap() -> None:
    """Have all threads of this process share one heap, before there is more than one; without glibc nothing is done.

    Else each has its own, and what one freed is of no use to another: the controller of 10,000 boxes took 260 MB and
    not 207. What the threads lose by it is little, since Python lets one at a time run.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


@contextmanager
def pause_collector() -> Iterator[None]:
    """No search for reference cycles within it, in any thread; what no longer has a reference is still freed at once,
    and no value of a fleet's refers back to another.

    At 10,000 boxes a cycle makes so many values that Python looks through the whole fleet for cycles several times,
    which took half of what a cycle without changes computes. Only the loop uses it, one at a time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
