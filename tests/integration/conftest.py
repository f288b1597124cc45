"""One local stack for all tests of this folder: real servers, on loopback, in a folder of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritilib.devstack import stack as stacks
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.programs import GATE, WATCHER, build_program
from tests.integration.box_alone import unpack_root
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


@pytest.fixture(scope="session")
def gate() -> str:
    """The program of a PBX's job that takes turns and holds its address, as it is built for the image."""
    go = shutil.which("go")
    assert go is not None
    return str(build_program(GATE, Path(go), find_cache() / "images", print))


@pytest.fixture(scope="session")
def box_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root file system of the box's image."""
    return unpack_root(find_cache(), tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def box_watcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that watches a box's Asterisk."""
    go = shutil.which("go")
    assert go, "Go builds the watcher: put Go 1.24 or newer on PATH"
    return build_program(WATCHER, Path(go), tmp_path_factory.mktemp("watcher"), print)
