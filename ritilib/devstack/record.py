"""What a stack remembers between two commands: state/stack.json, readable by its owner only."""

from __future__ import annotations

import secrets
import socket
import uuid
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, Field

from ritilib.devstack.folders import write_private
from ritilib.devstack.network import Slot
from ritilib.devstack.processes import Process

SERVERS = ("consul", "vault", "nomad")
PORTS = (
    "consul_http",
    "consul_server",
    "consul_serf",
    "vault_http",
    "vault_cluster",
    "vault_gateway",
    "nomad_http",
    "nomad_rpc",
    "nomad_serf",
)
LOOPBACK = "127.0.0.1"
SERVER_PORTS = range(10000, 19999)


class Record(BaseModel):
    """slot and processes are of the running stack; ports and tokens stay as long as the data do.

    A server that finds its own raft data at another port would wait for the old one for ever, so the ports
    are chosen once.
    """

    slot: int
    ports: dict[str, int]
    docker_host: str = ""
    drivers: list[str] = Field(default_factory=lambda: ["docker"])
    programs: dict[str, Path | None] = Field(default_factory=dict)
    processes: dict[str, Process] = Field(default_factory=dict)
    guests: dict[str, Process] = Field(default_factory=dict)
    consul_token: str = Field(repr=False)
    consul_agent_token: str = Field(repr=False)
    consul_nomad_token: str = Field(repr=False)
    nomad_token: str = Field(repr=False)
    vault_token: str = Field(default="", repr=False)
    vault_recovery_keys: list[str] = Field(default_factory=list, repr=False)

    @property
    def network(self) -> Slot:
        return Slot(self.slot)

    @property
    def nomad_address(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['nomad_http']}"

    @property
    def consul_address(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['consul_http']}"

    @property
    def vault_address(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['vault_http']}"

    @property
    def vault_gateway_address(self) -> str:
        """Vault's listener for the gateway for boxes."""
        return f"https://{LOOPBACK}:{self.ports['vault_gateway']}"


def new_record() -> Record:
    """A record with free ports and fresh tokens; its slot is chosen later."""
    tokens = [str(uuid.uuid4()) for _ in range(4)]
    return Record(
        slot=-1,
        ports=choose_ports(PORTS),
        consul_token=tokens[0],
        consul_agent_token=tokens[1],
        consul_nomad_token=tokens[2],
        nomad_token=tokens[3],
    )


def find_record(state: Path) -> Path:
    return state / "stack.json"


def find_log(state: Path, server: str) -> Path:
    return state / "logs" / f"{server}.log"


def read_record(state: Path) -> Record | None:
    """The record of the stack in this folder; None where there is none."""
    path = find_record(state)
    if not path.exists():
        return None
    record = Record.model_validate_json(path.read_bytes())
    # a stack that an older RITI made has no port for what came since
    record.ports |= choose_ports([name for name in PORTS if name not in record.ports])
    return record


def write_record(state: Path, record: Record) -> None:
    write_private(find_record(state), record.model_dump_json(indent=2))


def choose_ports(names: Collection[str]) -> dict[str, int]:
    """A free port of loopback for each name, by chance, so that two stacks that start together differ."""
    chosen: dict[str, int] = {}
    while len(chosen) < len(names):
        port = secrets.choice(SERVER_PORTS)
        if port not in chosen.values() and is_free(port):
            chosen[list(names)[len(chosen)]] = port
    return chosen


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of loopback, by TCP or UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True
