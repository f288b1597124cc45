"""More agents beside a stack's: a Nomad client of its own, and second servers, whose votes the first ones need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ritilib.devstack.network import (
    FIRST_PORT,
    PORTS_PER_SLOT,
    SLOTS,
    remove_interface,
    remove_rules,
    unmount_below,
)
from ritilib.devstack.processes import Process, end_process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, choose_ports, read_record
from ritilib.devstack.servers import consul, nomad
from ritilib.devstack.servers.http_api import call
from ritilib.devstack.stack import Stack
from tests.faults.servers import Servers

DEADLINE_S = 120.0
END_S = 30.0


@dataclass(frozen=True)
class Agent:
    """One agent that runs; name is its node's."""

    name: str
    process: Process
    log: Path
    ports: Mapping[str, int]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It answers nobody, while the context lasts; the tasks of a client go on."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def hold_docker_client(stack: Stack, folder: Path, name: str) -> Iterator[Agent]:
    """A Nomad client that runs PBXes as the stack's own does, and is no server; both take work.

    Its bridge and its ports are others than those of every stack on this machine.
    """
    first = FIRST_PORT + SLOTS * PORTS_PER_SLOT
    network = {
        "bridge_network_name": "riti-far",
        "bridge_network_subnet": "10.94.240.0/24",
        "min_dynamic_port": first,
        "max_dynamic_port": first + 100,
    }
    with _hold_client(stack, folder, name, "docker", network) as agent:
        try:
            yield agent
        finally:
            remove_rules(["riti-far"], str(network["bridge_network_subnet"]))
            remove_interface("riti-far")


@contextmanager
def hold_client(stack: Stack, folder: Path, name: str) -> Iterator[Agent]:
    """A Nomad client that runs stand-ins and is no server; the stack's own takes no work meanwhile.

    So Nomad's servers can go away, or be cut off from it, while its tasks go on.
    """
    with _hold_client(stack, folder, name, "raw_exec", {}) as agent:
        allow_own_node(stack, False)
        try:
            yield agent
        finally:
            allow_own_node(stack, True)


@contextmanager
def _hold_client(
    stack: Stack, folder: Path, name: str, driver: str, network: Mapping[str, Any]
) -> Iterator[Agent]:
    record = _read(stack)
    ports = choose_ports(("http", "rpc", "serf"))
    said = nomad.configure(record, stack.state, stack.programs.cni)
    said |= {"name": name, "data_dir": str(folder / "data"), "ports": ports, "server": {"enabled": False}}
    said["client"] |= {
        "servers": [f"{LOOPBACK}:{record.ports['nomad_rpc']}"],
        "options": {
            **said["client"]["options"],
            "driver.allowlist": driver,
            "driver.raw_exec.enable": str(int(driver == "raw_exec")),
        },
        **network,
    }
    if driver != "docker":
        said.pop("plugin")
    servers = Servers(stack.environment())
    log = folder / f"{name}.log"
    with ExitStack() as ends:
        ends.callback(unmount_below, folder)  # its allocations' secrets are folders in memory
        ends.callback(nomad.end_tasks, folder / "data")  # they outlive it
        ends.callback(_forget_node, servers, name)
        agent = ends.enter_context(_hold(stack.programs.nomad, said, folder, name, log, ports))

        def is_ready() -> bool:
            nodes = {one["Name"]: one for one in servers.get("NOMAD", "nodes")}
            drivers = nodes.get(name, {}).get("Drivers") or {}
            return bool(drivers.get(driver, {}).get("Healthy")) and nodes[name]["Status"] == "ready"

        wait_until(is_ready, DEADLINE_S, f"waiting for the node {name}", log)
        yield agent


@contextmanager
def hold_consul_peer(stack: Stack, folder: Path) -> Iterator[Agent]:
    """A second Consul server that has a vote: while it is paused neither of the two leads."""
    record = _read(stack)
    ports = choose_ports(("http", "server", "serf_lan"))
    said = consul.configure(record, stack.state, 1000)
    said.pop("bootstrap_expect")
    said |= {
        "node_name": "peer",
        "data_dir": str(folder / "data"),
        "ports": {**said["ports"], **ports},
        "retry_join": [f"{LOOPBACK}:{record.ports['consul_serf']}"],
        "leave_on_terminate": True,
    }
    servers = Servers(stack.environment())
    log = folder / "peer.log"
    with _hold(stack.programs.consul, said, folder, "consul-peer", log, ports) as agent:

        def has_vote() -> bool:
            found = servers.get("CONSUL_HTTP", "operator/raft/configuration")["Servers"]
            return any(one["Node"] == "peer" and one["Voter"] for one in found)

        wait_until(has_vote, DEADLINE_S, "waiting for the second Consul's vote", log)
        yield agent
        wait_until(lambda: consul.is_ready(record), DEADLINE_S, "waiting for Consul's leader", log)


@contextmanager
def hold_nomad_peer(stack: Stack, folder: Path) -> Iterator[Agent]:
    """A second Nomad server that has a vote: while it is paused neither of the two leads."""
    record = _read(stack)
    ports = choose_ports(("http", "rpc", "serf"))
    said = nomad.configure(record, stack.state, stack.programs.cni)
    said |= {
        "name": "peer",
        "data_dir": str(folder / "data"),
        "ports": ports,
        "client": {"enabled": False},
        "server": {
            "enabled": True,
            "raft_multiplier": 1,
            "server_join": {"retry_join": [f"{LOOPBACK}:{record.ports['nomad_serf']}"]},
        },
        "leave_on_terminate": True,
    }
    said.pop("plugin")
    servers = Servers(stack.environment())
    log = folder / "peer.log"
    with _hold(stack.programs.nomad, said, folder, "nomad-peer", log, ports) as agent:

        def has_vote() -> bool:
            found = servers.get("NOMAD", "operator/raft/configuration")["Servers"]
            return any(one["Node"].startswith("peer") and one["Voter"] for one in found)

        wait_until(has_vote, DEADLINE_S, "waiting for the second Nomad's vote", log)
        yield agent
        wait_until(lambda: has_leader(stack, "Nomad"), DEADLINE_S, "waiting for Nomad's leader", log)


def has_leader(stack: Stack, server: str) -> bool:
    address = {"Nomad": stack.nomad_address, "Consul": stack.consul_address}[server]
    status, said = call("GET", f"{address}/v1/status/leader")
    return status == 200 and bool(said)


@contextmanager
def cut_from_servers(stack: Stack) -> Iterator[None]:
    """No packet reaches the stack's Nomad server by its RPC port, which clients and other servers use."""
    rule = ["OUTPUT", "-o", "lo", "-p", "tcp", "--dport", str(_read(stack).ports["nomad_rpc"]), "-j", "DROP"]
    _iptables("-I", *rule)
    try:
        yield
    finally:
        _iptables("-D", *rule)


@contextmanager
def _hold(
    program: Path, said: dict[str, Any], folder: Path, name: str, log: Path, ports: Mapping[str, int]
) -> Iterator[Agent]:
    """The agent; a server asks to leave when it is told to end, so that the others count no more on its vote."""
    config = folder / f"{name}.json"
    config.write_text(json.dumps(said, indent=2))
    option = "-config-file" if program.name == "consul" else "-config"
    process = start_process([str(program), "agent", f"{option}={config}"], log)
    try:
        yield Agent(str(said.get("name") or said["node_name"]), process, log, ports)
    finally:
        end_process(process, END_S)


def _forget_node(servers: Servers, name: str) -> None:
    """Nomad would take a node that has ended for ready until it misses its next heartbeat."""
    for node in servers.get("NOMAD", "nodes"):
        if node["Name"] == name:
            servers.ask("NOMAD", "POST", f"node/{node['ID']}/purge")


def allow_own_node(stack: Stack, is_allowed: bool, name: str = nomad.NODE) -> None:
    """Whether the stack's own node, or another, takes work; the own does not count as ready (devstack) without."""
    servers = Servers(stack.environment())
    word = "eligible" if is_allowed else "ineligible"
    for node in servers.get("NOMAD", "nodes"):
        if node["Name"] == name:
            body = {"NodeID": node["ID"], "Eligibility": word}
            servers.ask("NOMAD", "POST", f"node/{node['ID']}/eligibility", body)


def _read(stack: Stack) -> Record:
    record = read_record(stack.state)
    assert record is not None
    return record


def _iptables(*words: str) -> None:
    subprocess.run(["iptables", *words], check=True, capture_output=True)
