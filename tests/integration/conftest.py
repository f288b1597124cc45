"""One local stack for all tests of this folder: real servers, on loopback, in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack import stack as stacks


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    """A stack that is up; it goes down after the last test."""
    state = tmp_path_factory.mktemp("stack")
    try:
        yield stacks.up(state, print)
    finally:
        stacks.down(state, print, purge=True)


@pytest.fixture(scope="session")
def env(stack: stacks.Stack) -> dict[str, str]:
    """NOMAD_ADDR, NOMAD_TOKEN and the like: management tokens."""
    return stack.environment()
