"""One local stack for all tests of this folder: real servers, on loopback, in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack import stack as stacks
from tests.integration.stacks import hold_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    """A stack that is up; it goes down after the last test."""
    with hold_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture(scope="session")
def env(stack: stacks.Stack) -> dict[str, str]:
    """NOMAD_ADDR, NOMAD_TOKEN and the like: management tokens."""
    return stack.environment()
