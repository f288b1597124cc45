"""A gateway with a real Consul and a real OpenBao behind it, and three boxes that are in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.gateway.asking import PAYSANDU, RIVERA, SALTO
from tests.integration.gateway_lab import BoxKey, Lab, hold_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with hold_lab(tmp_path_factory.mktemp("gateway")) as made:
        made.boxes = {unit: made.enter(unit) for unit in (SALTO, RIVERA, PAYSANDU)}
        yield made


@pytest.fixture
def salto(lab: Lab) -> BoxKey:
    return lab.boxes[SALTO]


@pytest.fixture
def consul_token(lab: Lab, salto: BoxKey) -> dict[str, str]:
    return {"X-Consul-Token": lab.log_in_consul(salto)}


@pytest.fixture
def vault_token(lab: Lab, salto: BoxKey) -> dict[str, str]:
    return {"X-Vault-Token": lab.log_in(salto)}
