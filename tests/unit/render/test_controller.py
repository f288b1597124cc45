"""The controller's job: the very bytes, what fleet.yaml changes in it, and that no secret and no stranger gets in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ritilib.fleet.controller_file import Controller
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.load import load_fleet
from ritilib.fleet.source import build_model, parse_source
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.controller import list_variables, render_controller
from ritilib.render.names import ControllerNames, name_job

HERE = Path(__file__).parent
CLEAN = HERE.parent / "mistakes" / "clean"
HOST_KEY = "forge.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6dzXHhNVUMY5CiQ5aHIb5qcZ+6r1qjbWfK4ZyYc0Qm"


@pytest.fixture
def fleet() -> FleetFile:
    return load_fleet(read_fleet_files(CLEAN)).fleet.said


def say(**more: object) -> Controller:
    wanted = {"image": "riti/controller:1", "remote": "https://forge.example/telephones.git"}
    return Controller.model_validate(wanted | more)


def test_the_job_is_the_golden_one(fleet: FleetFile) -> None:
    """After a change that is meant so: write what is rendered to tests/unit/render/controller.nomad.hcl."""
    said = say(secrets=["git_token", "hook_github", "notify_url"], port=8080, namespace="riti")
    assert render_controller(fleet, said) == (HERE / "controller.nomad.hcl").read_text()


def test_its_name_is_no_units(fleet: FleetFile) -> None:
    names = ControllerNames("demo")
    assert names.job_id == "riti-demo"
    for other in ("demo", "riti", "riti-demo"):
        assert not names.job_id.startswith(name_job(other, "a/b").partition("a")[0])


def test_a_secret_is_a_file_that_its_variable_names(fleet: FleetFile) -> None:
    kinds = ["hook_github", "hook_gitea", "hook_gitlab", "forge_token", "notify_url", "notify_secret"]
    job = render_controller(fleet, say(secrets=kinds))
    for kind in kinds:
        assert f"RITI_{kind.upper()}_FILE" in job
        assert f'destination = "secrets/{kind}"' in job
        assert f"{{{{ with .Data.data.{kind} }}}}{{{{ . }}}}" in job
    assert "GIT_" not in job


def test_git_gets_its_token_for_the_forge_alone() -> None:
    variables = list_variables(say(remote="https://forge.example:8443/a/b.git", secrets=["git_token"]))
    assert variables["GIT_CONFIG_KEY_0"] == "credential.https://forge.example:8443.helper"
    assert variables["GIT_CONFIG_VALUE_0"] == "!cat /secrets/git_token #"
    assert "RITI_GIT_TOKEN_FILE" not in variables


def test_git_gets_its_key_and_believes_the_known_host_alone(fleet: FleetFile) -> None:
    said = say(remote="git@forge.example:a/b.git", secrets=["git_key"], known_hosts=[HOST_KEY])
    job = render_controller(fleet, said)
    assert HOST_KEY in job
    assert "StrictHostKeyChecking=yes" in job and 'destination = "secrets/git_key"' in job


def test_an_authority_of_ones_own_is_for_all_three_servers(fleet: FleetFile) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    job = render_controller(fleet, say(ca=pem))
    assert pem in job
    for name in ("NOMAD", "CONSUL", "VAULT"):
        assert re.search(rf'{name}_CACERT +{"="} "/local/ca.pem"', job)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("remote", 'https://forge.example/"}'),
        ("remote", "https://forge.example/${attr.cpu.arch}"),
        ("remote", "https://ana:secret@forge.example/t.git"),
        ("remote", "ssh://git:secret@forge.example/t.git"),
        ("remote", "ext::sh -c id"),
        ("remote", "file:///etc"),
        ("branch", 'main"'),
        ("branch", "--upload-pack=id"),
        ("user", "git\npassword=x"),
        ("nomad", "http://${env.HOME}:4646"),
        ("vault", "vault.example:8200"),
        ("namespace", "*"),
        ("node_pool", 'all"'),
        ("known_hosts", ["{{ env }} ssh-ed25519 " + "A" * 68]),
        ("ca", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
        ("secrets", ["root_token"]),
        ("count", 0),
        ("memory_mb", "256"),
    ],
)
def test_what_would_be_something_else_in_the_job_is_refused(key: str, words: object) -> None:
    with pytest.raises(ValueError, match=key):
        say(**{key: words})


def test_an_address_may_be_the_nodes_own() -> None:
    address = "https://${attr.unique.network.ip-address}:4646"
    assert list_variables(say(nomad=address))["NOMAD_ADDR"] == address


def test_a_number_that_is_said_is_the_commands() -> None:
    assert not {"RITI_CREW", "RITI_NOMAD_RATE", "RITI_FORGE"} & list_variables(say()).keys()
    variables = list_variables(say(crew=4, nomad_rate=50))
    assert (variables["RITI_CREW"], variables["RITI_NOMAD_RATE"]) == ("4", "50")
    told = list_variables(
        say(forge="gitea", forge_url="https://forge.example/api/v1", secrets=["forge_token"])
    )
    assert (told["RITI_FORGE"], told["RITI_FORGE_URL"]) == ("gitea", "https://forge.example/api/v1")
    assert told["RITI_FORGE_TOKEN_FILE"] == "/secrets/forge_token"


def test_a_fleet_that_says_nothing_of_it_has_none(fleet: FleetFile) -> None:
    assert fleet.controller is None
    source = parse_source("fleet/fleet.yaml", (CLEAN / "fleet/fleet.yaml").read_bytes())
    said, problems = build_model(source, FleetFile)
    assert said == fleet and not problems
