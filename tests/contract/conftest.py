"""Each contract is held twice: by the fake, and by the real server of a local stack."""

from __future__ import annotations

import uuid

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.settings import Settings, read_settings
from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT, Vault
from tests.fakes.consul import FakeConsul
from tests.fakes.nomad import FakeNomad
from tests.fakes.vault import FakeVault
from tests.integration.conftest import env, stack

__all__ = ["env", "stack"]


@pytest.fixture(params=["fake", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fleet() -> str:
    """A fleet's slug that no other test has: the real servers keep what earlier tests wrote."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def settings(env: dict[str, str]) -> Settings:
    return read_settings(env)


@pytest.fixture
def consul(kind: str, request: pytest.FixtureRequest) -> ConsulClient:
    return FakeConsul() if kind == "fake" else Consul(request.getfixturevalue("settings"))


@pytest.fixture
def nomad(kind: str, request: pytest.FixtureRequest) -> NomadClient:
    return FakeNomad() if kind == "fake" else Nomad(request.getfixturevalue("settings"))


@pytest.fixture
def vault(kind: str, request: pytest.FixtureRequest) -> VaultClient:
    """With the mounts that bootstrap makes."""
    made: VaultClient = FakeVault() if kind == "fake" else Vault(request.getfixturevalue("settings"))
    made.enable_kv(KV_MOUNT)
    made.enable_transit(TRANSIT_MOUNT)
    return made
