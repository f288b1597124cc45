"""Docker: a daemon that runs already, or one of our own whose images outlive it in the cache."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

from ritilib.devstack.claims import Shared
from ritilib.devstack.network import unmount_below
from ritilib.devstack.processes import end_process, start_process, wait_until
from ritilib.devstack.servers.http_api import call_docker

SYSTEM_SOCKET = "/var/run/docker.sock"
READY_S = 60.0
END_S = 30.0
ALLOCATION_LABEL = "com.hashicorp.nomad.alloc_id"


def find_docker(cache: Path) -> str:
    """The DOCKER_HOST of a daemon that answers; "" for none.

    $DOCKER_HOST, the system's, our own, then any that runs here: two daemons on one machine take each
    other's bridge and firewall rules away.
    """
    named = (os.environ.get("DOCKER_HOST", ""), SYSTEM_SOCKET, str(_own_socket(cache)))
    for socket in (*named, *_list_sockets()):
        path = socket.removeprefix("unix://")
        if path.startswith("/") and answers(path):
            return f"unix://{path}"
    return ""


def answers(socket: str) -> bool:
    return call_docker(socket, "GET", "/_ping")[0] == 200


def start_dockerd(program: Path, cache: Path, shared: Shared, report: Callable[[str], None]) -> str:
    """Start a daemon of our own and wait for it; its DOCKER_HOST. The caller holds the shared record."""
    folder = cache / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "dockerd.log"
    socket = _own_socket(cache)
    report("starting Docker's daemon: none runs on this machine")
    shared.dockerd = start_process(
        [
            str(program),
            f"--host=unix://{socket}",
            f"--data-root={folder / 'data'}",
            f"--exec-root={folder / 'exec'}",
            f"--pidfile={folder / 'dockerd.pid'}",
            "--bridge=none",  # every container has a network of its own, or Nomad's
            "--log-level=warn",
        ],
        log,
    )
    wait_until(lambda: answers(str(socket)), READY_S, "waiting for Docker's daemon", log, shared.dockerd)
    return f"unix://{socket}"


def end_dockerd(cache: Path, shared: Shared) -> None:
    """End our own daemon, if it is ours and runs; images stay."""
    end_process(shared.dockerd, END_S)
    shared.dockerd = None
    unmount_below(cache / "docker")


def list_containers(docker_host: str, allocations: Collection[str]) -> list[str]:
    """Ids of the containers, running or not, that Nomad made for these allocations."""
    query = {"all": "true", "filters": json.dumps({"label": [ALLOCATION_LABEL]})}
    status, found = call_docker(docker_host.removeprefix("unix://"), "GET", "/containers/json", query)
    if status != 200:
        return []
    return [one["Id"] for one in found if one["Labels"].get(ALLOCATION_LABEL) in allocations]


def remove_containers(docker_host: str, ids: Collection[str]) -> None:
    for one in ids:
        call_docker(docker_host.removeprefix("unix://"), "DELETE", f"/containers/{one}", {"force": "true"})


def _own_socket(cache: Path) -> Path:
    return cache / "docker" / "docker.sock"


def _list_sockets() -> list[str]:
    """The unix sockets that the running daemons were told to listen at."""
    sockets = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended in between
        if Path(words[0]).name == "dockerd":
            options = [word.removeprefix("--host=").removeprefix("-H") for word in words]
            sockets += [option for option in options if option.startswith("unix://")]
    return sorted(sockets)
