"""The gateway's job and configuration: the very bytes, what fleet.yaml changes there, and that nothing else gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.gateway_file import Gateway
from ritilib.fleet.load import load_fleet
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.gateway import render_gateway, render_proxy
from ritilib.render.names import ControllerNames, GatewayNames, name_job

HERE = Path(__file__).parent
CLEAN = HERE.parent / "mistakes" / "clean"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def fleet() -> FleetFile:
    return load_fleet(read_fleet_files(CLEAN)).fleet.said


def say(**more: object) -> Gateway:
    wanted = {
        "addresses": ["https://boxes.example"],
        "image": "riti/gateway:1",
        "vault": ["https://vault.example:8202"],
    }
    return Gateway.model_validate(wanted | more)


def test_the_job_is_the_golden_one(fleet: FleetFile) -> None:
    """After a change that is meant so: write what is rendered to tests/unit/render/gateway.nomad.hcl."""
    said = say(port=8443, consul=["http://127.0.0.1:8500", "https://10.0.0.2:8501"], ca=PEM)
    assert render_gateway(fleet, said) == (HERE / "gateway.nomad.hcl").read_text()


def test_its_name_is_no_units_and_not_the_controllers() -> None:
    names = GatewayNames("demo")
    assert names.job_id != ControllerNames("demo").job_id
    for other in ("demo", "riti", "riti-demo"):
        assert not names.job_id.startswith(name_job(other, "a/b").partition("a")[0])


def test_no_secret_stands_in_it(fleet: FleetFile) -> None:
    job = render_gateway(fleet, say())
    assert job.count('{{ with secret "riti/data/_gateway/demo" }}') == 3
    assert "PRIVATE KEY" not in job


def test_a_server_is_known_by_its_certificates_name() -> None:
    proxy = render_proxy(
        "demo", say(vault=["https://10.0.0.2:8202", "https://vault.example"], vault_name="v.example")
    )
    lines = [line for line in proxy.splitlines() if line.startswith("  server vault-")]
    assert len(lines) == 2
    assert all("verify required" in line and "verifyhost v.example" in line for line in lines)
    assert "resolvers node" in lines[1] and "resolvers node" not in lines[0]
    assert ":443 " in lines[1]


def test_an_address_by_number_needs_no_resolver() -> None:
    assert "resolvers" not in render_proxy("demo", say(vault=["https://[fd00::1]:8202"]))
    assert "  server vault-1 [fd00::1]:8202 " in render_proxy("demo", say(vault=["https://[fd00::1]:8202"]))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("addresses", ["http://boxes.example"]),
        ("addresses", ["https://boxes.example/path"]),
        ("addresses", []),
        ("vault", ["http://vault.example:8202"]),
        ("vault", ["https://ana:secret@vault.example"]),
        ("vault", ["https://vault.example\n  http-request allow"]),
        ("consul", ["https://${HOME}"]),
        ("consul", ["consul.example:8500"]),
        ("vault_name", "v.example ssl verify none"),
        ("consul_name", ""),
        ("ca", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
        ("port", 443),
        ("namespace", "*"),
        ("node_pool", 'all"'),
    ],
)
def test_what_would_be_something_else_in_it_is_refused(key: str, words: object) -> None:
    with pytest.raises(ValueError, match=key):
        say(**{key: words})
