"""The images as they run in a job: small, read-only, with no capability, no shell, and no warning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_docker.plugin import Services

from ritilib.box.loaded import READY
from ritilib.clients.docker import Docker
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images import build_images
from ritilib.devstack.images.archive import write_tar
from ritilib.devstack.images.asterisk import list_root
from ritilib.devstack.images.debian import unpack_asterisk
from ritilib.devstack.images.trial import write_trial
from ritilib.devstack.stack import Stack
from ritilib.errors import ServerError
from ritilib.render.modules import BOX_MODULES, PBX_MODULES

KINDS = ("pbx", "box")
MODULES = {"pbx": PBX_MODULES, "box": BOX_MODULES}
LARGEST_BYTES = {"pbx": 32_000_000, "box": 38_000_000}  # a box speaks five languages
READY_WITHIN_S = 60.0
ASTERISK = ["/usr/sbin/asterisk", "-C", "/local/asterisk/asterisk.conf", "-rx"]
PROJECT = "riti-test-images"


@pytest.fixture(scope="session")
def docker(stack: Stack) -> Docker:
    return Docker(stack.docker_host)


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    return "docker-compose"


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return PROJECT


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    return ["up -d"]  # docker-compose 1, which Debian 12 ships, does not know --wait


@pytest.fixture(scope="session")
def docker_compose_file(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("images")
    file = folder / "docker-compose.json"
    services = {kind: write_trial(folder, kind) for kind in KINDS}
    file.write_text(json.dumps({"version": "2.4", "services": services}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", stack.docker_host)
        yield str(file)


@pytest.fixture(scope="session")
def booted(docker: Docker, docker_services: Services) -> dict[str, str]:
    """Kind → name of its container, once Asterisk says that it is ready."""
    names = {kind: f"{PROJECT}_{kind}_1" for kind in KINDS}
    for name in names.values():
        docker_services.wait_until_responsive(
            timeout=READY_WITHIN_S, pause=0.05, check=lambda name=name: READY in docker.read_log(name)
        )
    return names


def read_process(docker: Docker, container: str, file: str) -> str:
    return Path(f"/proc/{docker.inspect(container)['State']['Pid']}/{file}").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_boot_without_a_warning(docker: Docker, booted: dict[str, str], kind: str) -> None:
    log = docker.read_log(booted[kind])
    assert [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_listed_module_runs(docker: Docker, booted: dict[str, str], kind: str) -> None:
    code, listing = docker.execute(booted[kind], [*ASTERISK, "module show"])
    running = {line.split()[0] for line in listing.splitlines() if " Running " in line}
    assert (code, {f"{module}.so" for module in MODULES[kind]} - running) == (0, set())


@pytest.mark.parametrize("kind", KINDS)
def test_no_rights_beyond_need(docker: Docker, booted: dict[str, str], kind: str) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in read_process(docker, booted[kind], "status").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    root = [line.split() for line in read_process(docker, booted[kind], "mounts").splitlines()]
    assert [options.split(",")[0] for _, place, _, options, *_ in root if place == "/"] == ["ro"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shell", ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/bin/busybox"])
def test_no_shell(docker: Docker, booted: dict[str, str], kind: str, shell: str) -> None:
    try:
        code, _ = docker.execute(booted[kind], [shell, "-c", "true"])
    except ServerError:
        return  # newer daemons refuse the request itself
    assert code in (126, 127)


@pytest.mark.parametrize("kind", KINDS)
def test_size(docker: Docker, stack: Stack, kind: str) -> None:
    assert docker.measure_image(f"riti/{kind}:dev") <= LARGEST_BYTES[kind]


def test_iax_listens_on_its_address_alone(docker: Docker, booted: dict[str, str]) -> None:
    sockets = [line.split()[1] for line in read_process(docker, booted["pbx"], "net/udp").splitlines()[1:]]
    assert sockets == [f"0100007F:{4569:04X}"]
    assert "1 iax2 peers" in docker.execute(booted["pbx"], [*ASTERISK, "iax2 show peers"])[1]


@pytest.mark.parametrize("kind", KINDS)
def test_manager_interface_is_the_watchers_on_loopback(
    docker: Docker, booted: dict[str, str], kind: str
) -> None:
    sockets = [line.split() for line in read_process(docker, booted[kind], "net/tcp").splitlines()[1:]]
    assert [words[1] for words in sockets if words[3] == "0A"] == [f"0100007F:{5038:04X}"]


def test_box_takes_telephones(docker: Docker, booted: dict[str, str]) -> None:
    sockets = [line.split()[1] for line in read_process(docker, booted["box"], "net/udp").splitlines()[1:]]
    assert f"00000000:{5060:04X}" in sockets
    assert "transport-udp" in docker.execute(booted["box"], [*ASTERISK, "pjsip show transports"])[1]
    assert "phone-101" in docker.execute(booted["box"], [*ASTERISK, "pjsip show endpoints"])[1]


def test_building_again_does_nothing(stack: Stack) -> None:
    said: list[str] = []
    build_images(stack.docker_host, stack.programs.for_images(), find_cache(), said.append)
    assert said == []


def test_same_recipe_same_bytes(stack: Stack, tmp_path: Path) -> None:
    tree = unpack_asterisk(find_cache() / "images", print)
    sums = set()
    for attempt in ("first", "second"):
        write_tar(list_root(tree, PBX_MODULES), tmp_path / attempt)
        sums.add(hashlib.sha256((tmp_path / attempt).read_bytes()).hexdigest())
    assert len(sums) == 1
