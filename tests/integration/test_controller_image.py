"""The controller's image as it runs in a job: read-only, without rights, and with all that a sync calls for."""

from __future__ import annotations

import json

import docker
import pytest
from docker.errors import ContainerError

from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.controller import IMAGE, build_controller
from ritilib.devstack.stack import Stack

HARDENED = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "network_mode": "none",
    "tmpfs": {"/tmp": "mode=1777,size=16m"},
    "remove": True,
    "stderr": True,
}
SIGN = """\
set -eu
cd /tmp
export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
ssh-keygen -q -t ed25519 -N "" -f key
echo "a@example.org $(cat key.pub)" > signers
git init --quiet repo
cd repo
git config gpg.format ssh
git config user.signingkey /tmp/key
git config gpg.ssh.allowedSignersFile /tmp/signers
git commit --quiet --allow-empty --message x --gpg-sign
git verify-commit HEAD
"""
CREDENTIAL = """\
set -eu
printf 'username=git\\npassword=from-a-file' > /tmp/token
printf 'protocol=https\\nhost=forge.example\\n' | GIT_CONFIG_COUNT=1 \
  GIT_CONFIG_KEY_0=credential.https://forge.example.helper GIT_CONFIG_VALUE_0='!cat /tmp/token #' git credential fill
"""


@pytest.fixture(scope="module")
def client(stack: Stack) -> docker.DockerClient:
    build_controller(stack.docker_host, stack.nebula_cert, find_cache(), print)
    return docker.DockerClient(stack.docker_host)


def run(client: docker.DockerClient, command: list[str], entry: list[str] | None = None) -> str:
    """What a container prints before it ends well."""
    try:
        return client.containers.run(IMAGE, command, entrypoint=entry, **HARDENED).decode()
    except ContainerError as error:
        raise AssertionError(error.stderr) from error


def test_it_is_made_once(client: docker.DockerClient, stack: Stack) -> None:
    assert not build_controller(stack.docker_host, stack.nebula_cert, find_cache(), print)
    print(f"{client.images.get(IMAGE).attrs['Size'] / 1e6:.0f} MB unpacked")


def test_it_is_this_riti_as_nobody(client: docker.DockerClient) -> None:
    assert run(client, ["--version"]).startswith("riti, version ")
    ids = run(client, ["-c", "import os; print(os.getuid(), os.getgid())"], ["/usr/bin/python3"])
    assert ids == "10001 10001\n"
    assert "controller" in run(client, ["--help"])


def test_every_module_of_a_sync_is_there(client: docker.DockerClient) -> None:
    code = (
        "import importlib, pkgutil, json, ssl, sqlite3, ritilib.sync, ritilib.cli.controller, ritilib.cli.servers\n"
        "names = [one.name for one in pkgutil.walk_packages(ritilib.sync.__path__, 'ritilib.sync.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(json.dumps(names))\n"
    )
    names = json.loads(run(client, ["-c", code], ["/usr/bin/python3"]))
    assert {"ritilib.sync.service", "ritilib.sync.web.app", "ritilib.sync.lead.identity"} <= set(names)


@pytest.mark.parametrize("program", ["nebula-cert", "git", "ssh-keygen", "timeout", "env", "cat", "sh"])
def test_a_program_that_a_sync_calls_is_there(client: docker.DockerClient, program: str) -> None:
    assert f"/{program}" in run(client, ["-c", f"command -v {program}"], ["/usr/bin/sh"])


def test_git_signs_and_verifies_by_ssh(client: docker.DockerClient) -> None:
    assert 'Good "git" signature' in run(client, ["-c", SIGN], ["/usr/bin/sh"])


def test_git_reads_its_token_from_a_file(client: docker.DockerClient) -> None:
    assert "password=from-a-file" in run(client, ["-c", CREDENTIAL], ["/usr/bin/sh"])


def test_git_speaks_https_and_knows_the_authorities(client: docker.DockerClient) -> None:
    """Without a network it gets as far as the name of the host."""
    code = "git ls-remote https://forge.invalid/x.git 2>&1; cat /etc/ssl/certs/ca-certificates.crt"
    said = run(client, ["-c", code], ["/usr/bin/sh"])
    assert "Could not resolve host" in said and said.count("BEGIN CERTIFICATE") > 50


def test_what_is_there_cannot_be_written(client: docker.DockerClient) -> None:
    places = "/ /usr /etc /usr/bin /usr/lib/python3/dist-packages"
    code = f"for place in {places}; do (: > $place/x) && echo $place; done 2>/dev/null; true"
    assert run(client, ["-c", code], ["/usr/bin/sh"]) == ""
