"""`riti box claim` and `riti enroll` against real servers, as an operator calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ritilib.cli.main import riti
from ritilib.clients.consul import Consul
from ritilib.clients.vault import TRANSIT_MOUNT, Vault
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.binding import Binding
from ritilib.enroll.card import read_card
from ritilib.enroll.claim import read_claim
from ritilib.errors import Denied, RitiError
from ritilib.render.names import EnrollmentNames
from ritilib.sync.enroll.prepare import prepare_enrollment
from tests.enroll.servers import Light
from tests.unit.enroll.boxes import SERIAL
from tests.unit.fleets import FLEET_ID, make_files

KEY = "acme/salto"
GATEWAY = "gateway:\n  addresses: [https://gw.example:8443]\n"


@pytest.fixture
def repo(tmp_path: Path, fleet: str) -> Path:
    files = make_files()
    said = files["fleet/fleet.yaml"].decode().replace("name: demo", f"name: {fleet}")
    files["fleet/fleet.yaml"] = f"{said}{GATEWAY}".encode()
    for path, content in files.items():
        (tmp_path / "repo" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / path).write_bytes(content)
    return tmp_path / "repo"


@pytest.fixture
def run(light: Light, fleet: str, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    consul, vault = Consul(light.settings), Vault(light.settings)
    vault.enable_transit(TRANSIT_MOUNT)
    prepare_enrollment(consul, vault, fleet, FLEET_ID, lambda words: None)
    operator = vault.create_token((EnrollmentNames(fleet).claims_policy,), "operator")
    monkeypatch.setenv("VAULT_ADDR", light.settings.vault.address)
    monkeypatch.setenv("VAULT_TOKEN", operator)
    monkeypatch.setenv("CONSUL_HTTP_ADDR", light.settings.consul.address)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", light.settings.consul.token)

    def call(*words: str) -> None:
        riti.main(
            [*words, "--repo", str(repo)] if "--fleet" not in words else [*words], standalone_mode=False
        )

    return call


def test_a_card_is_what_a_box_and_the_servers_take(
    run: Callable[..., None], light: Light, fleet: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "card"
    run("box", "claim", KEY, "--out", str(out), "--ca", str(light.vault_ca))
    join, claim = read_card((out / "join.json").read_bytes(), (out / "claim.jwt").read_text())
    assert join.gateway == ["https://gw.example:8443"] and join.names.job_id == f"{fleet}--acme--salto"
    keys = SigningKey(Vault(light.settings), EnrollmentNames(fleet).claim_key).read_public_keys()
    assert read_claim((out / "claim.jwt").read_text().strip(), keys) == claim
    assert {path.stat().st_mode & 0o77 for path in (out, *out.iterdir())} == {0}
    assert (out / "claim.jwt").read_text().strip() not in capsys.readouterr().out
    with pytest.raises(RitiError, match="is there already"):
        run("box", "claim", KEY, "--out", str(out), "--ca", str(light.vault_ca))


def test_who_may_not_sign_writes_nothing(
    run: Callable[..., None], light: Light, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", Vault(light.settings).create_token(("default",), "nobody"))
    with pytest.raises(Denied):
        run("box", "claim", KEY, "--out", str(tmp_path / "card"), "--ca", str(light.vault_ca))
    assert not (tmp_path / "card").exists()


def test_list_approve_revoke_replace(
    run: Callable[..., None], light: Light, fleet: str, repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consul, place = Consul(light.settings), EnrollmentNames(fleet).binding(KEY)
    waiting = Binding(state="waiting", thumbprint="t" * 43, serial=SERIAL, address="100.80.0.9/16")
    consul.write(place, waiting.encode(), 0)
    run("enroll", "list", "--json", "--fleet", fleet)
    [shown] = json.loads(capsys.readouterr().out)
    assert (shown["box"], shown["state"], shown["serial"]) == (KEY, "waiting", SERIAL)
    run("enroll", "approve", KEY, "--now")
    file = repo / "fleet/boxes/acme/salto.yaml"
    assert f'serial: "{SERIAL}"\n' in file.read_text()
    assert "Git has to catch up" in capsys.readouterr().out
    run("enroll", "revoke", KEY, "--now")
    assert "enrollment: {revoked: true}\n" in file.read_text()
    run("enroll", "list", "--fleet", fleet)
    assert "revoked" in capsys.readouterr().out
    run("enroll", "replace", KEY, "--serial", "10000000abcdef02")
    assert "enrollment: {generation: 2}\n" in file.read_text()
    with pytest.raises(RitiError, match="does not wait"):
        run("enroll", "deny", KEY)
