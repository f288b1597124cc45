"""Consul and OpenBao for all tests of this folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.enroll.servers import Light, run_servers


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Light]:
    with run_servers(tmp_path_factory.mktemp("light")) as light:
        yield light


@pytest.fixture
def fleet() -> str:
    """A fleet's slug that no other test has: the servers keep what earlier tests wrote."""
    return f"t{uuid.uuid4().hex[:10]}"
