"""Consul and OpenBao for all tests of this folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.enroll.servers import Light, run_servers
from tests.enroll.site import Site, hold_site


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Light]:
    with run_servers(tmp_path_factory.mktemp("light")) as light:
        yield light


@pytest.fixture
def fleet() -> str:
    """A fleet's slug that no other test has: the servers keep what earlier tests wrote."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def site(light: Light, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One fleet for all tests of a file; each has a box of its own."""
    with hold_site(light, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def key(site: Site, request: pytest.FixtureRequest) -> str:
    """A box that no other test has, and that is merged."""
    name = f"acme/b{len(site.office.wish)}"
    site.expect(name)
    site.office.settle()
    site.gate.restart_count()
    site.gate.is_lost = lambda number: False
    return name
