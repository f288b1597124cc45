"""Python's collector rests while values are made, and only then; threads share one heap."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritilib.sync.heap import pause_collector


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"), pause_collector():
        assert not gc.isenabled()
        raise ValueError("x")
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_so() -> None:
    gc.disable()
    with pause_collector(), pause_collector():
        assert not gc.isenabled()
    assert not gc.isenabled()


COUNT = """
import ctypes, sys, threading
from pathlib import Path
from ritilib.sync.heap import share_heap
if sys.argv[1] == "shared":
    share_heap()
held, ready = [], threading.Barrier(5)
def hold():
    held.append(bytes(100_000))
    ready.wait()
    ready.wait()
for _ in range(4):
    threading.Thread(target=hold).start()
ready.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
stream = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(stream))
libc.fclose(ctypes.c_void_p(stream))
ready.wait()
print(Path(sys.argv[2]).read_text().count("<heap nr="))
"""


def test_threads_share_one_heap(tmp_path: Path) -> None:
    def count(how: str) -> int:
        argv = [sys.executable, "-c", COUNT, how, str(tmp_path / how)]
        return int(subprocess.run(argv, capture_output=True, check=True, text=True).stdout)

    assert count("shared") == 1 < count("each its own")
