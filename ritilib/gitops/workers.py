"""Shares work that takes a whole core among the cores: forked processes that see what this one holds."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from ritilib.errors import GitopsError

Item = TypeVar("Item")
Result = TypeVar("Result")

_SHARES = 8  # of each process: enough that none waits long for the other's last
_forked: Callable[[Any], Any] | None = None  # what children inherit; a closure cannot be sent to them


def count_cores() -> int:
    """How many processes may work at once here (os.sched_getaffinity heeds a container's limit of CPUs)."""
    return len(os.sched_getaffinity(0))


def map_forked(
    act: Callable[[Item], Result], items: Sequence[Item], least: int = 1, processes: int | None = None
) -> list[Result]:
    """act of each item, in the items' order; in this process where there are fewer than 2 * least of them.

    Each process but this one takes a share of the items at a time. What act gives and raises must be able to be
    pickled. Raises what act raises, and GitopsError where a process was killed.
    """
    with share_forked(act, items, least, processes) as collect:
        return collect()


@contextmanager
def share_forked(
    act: Callable[[Item], Result], items: Sequence[Item], least: int = 1, processes: int | None = None
) -> Iterator[Callable[[], list[Result]]]:
    """The same, begun at once while this process does something else: the results come when they are asked for."""
    global _forked
    count = min(processes or count_cores(), len(items) // least)
    if count < 2:
        yield lambda: [act(item) for item in items]
        return
    _forked = act
    # what the children share with this process stays shared while no collection writes its marks into it
    gc.freeze()
    try:
        with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("fork")) as pool:
            answers = pool.map(_run, items, chunksize=max(1, len(items) // (count * _SHARES)))
            yield lambda: list(answers)
    except BrokenProcessPool as error:
        raise GitopsError.because(
            "a process of RITI was ended from outside", "see that there is memory enough, then again"
        ) from error
    finally:
        gc.unfreeze()
        _forked = None


@contextmanager
def slow_collection() -> Iterator[None]:
    """Collections of garbage when it is worth while (and in the processes that are forked meanwhile).

    A command makes many values that stay; with Python's own thresholds an eighth of a whole render went into looking
    at these, and it took no more memory with these.
    """
    before = gc.get_threshold()
    gc.set_threshold(20_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def hold_collection() -> Iterator[None]:
    """No collection of garbage: for the making of many values that all stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _run(item: Any) -> Any:
    assert _forked is not None
    return _forked(item)
