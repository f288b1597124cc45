"""A second failure domain of a stack: another Nomad client, with a public address of its own, that can die whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack.claims import claim_slot, open_shared, release_slot
from ritilib.devstack.folders import find_cache, write_private
from ritilib.devstack.network import (
    Slot,
    add_public_interface,
    forget_addresses,
    remove_interface,
    remove_rules,
    unmount_below,
)
from ritilib.devstack.processes import Process, end_process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, choose_ports, read_record
from ritilib.devstack.servers.dockerd import list_containers, remove_containers
from ritilib.devstack.servers.http_api import call
from ritilib.devstack.servers.nomad import HEADER, configure
from ritilib.devstack.stack import Stack
from ritilib.errors import DevstackError

READY_S, END_S = 90.0, 10.0
MEMORY_MB = 80  # room for a lighthouse, and for no PBX


@dataclass
class Domain:
    """A machine beside the stack's: public_address is where the public network finds its lighthouse."""

    name: str
    folder: Path
    record: Record
    network: Slot
    process: Process

    @property
    def public_address(self) -> str:
        return self.network.public_address

    def die(self) -> None:
        """What a power cut does: the client and everything on it is gone at once, and nobody says so to anybody."""
        end_process(self.process, 0.0)
        remove_containers(
            self.record.docker_host, list_containers(self.record.docker_host, self._list_allocations())
        )

    def _list_allocations(self) -> set[str]:
        folder = self.folder / "data" / "alloc"
        return {one.name for one in folder.iterdir()} if folder.is_dir() else set()

    def remove(self) -> None:
        """End it, and take away what it left in the kernel."""
        allocations = self._list_allocations()
        self.die()
        unmount_below(self.folder)
        remove_rules({self.network.bridge_name, *allocations}, self.network.bridge_subnet)
        forget_addresses(self.network.bridge_subnet)
        remove_interface(self.network.bridge_name)
        remove_interface(self.network.public_interface)


@contextmanager
def hold_domain(stack: Stack, folder: Path, report: Callable[[str], None]) -> Iterator[Domain]:
    """One more client of the stack's Nomad, ready for a lighthouse at its own address; it is gone with the context.

    folder (made) keeps its data and its log. DevstackError where it does not come up.
    """
    cache = find_cache()
    folder.mkdir(mode=0o700, parents=True)
    record = read_record(stack.state)
    if record is None:
        raise DevstackError.because(f"no stack runs in {stack.state}", "start one: riti dev up")
    with open_shared(cache) as shared:
        network = claim_slot(shared, folder)
        add_public_interface(network)
    try:
        report(f"starting a second Nomad client at {network.public_address}")
        domain = _start(stack, folder, record, network)
        try:
            yield domain
        finally:
            domain.remove()
            _purge(record, domain.name)
    finally:
        remove_interface(network.public_interface)
        with open_shared(cache) as shared:
            release_slot(shared, folder)


def _start(stack: Stack, folder: Path, record: Record, network: Slot) -> Domain:
    name = f"riti-dev-{network.number}"
    config, log = folder / "nomad.json", folder / "nomad.log"
    write_private(config, json.dumps(_configure(stack, folder, record, network, name), indent=2))
    process = start_process([str(stack.programs.nomad), "agent", f"-config={config}"], log)
    domain = Domain(name, folder, record, network, process)
    try:
        wait_until(lambda: _is_ready(record, name), READY_S, f"waiting for the client {name}", log, process)
    except BaseException:
        domain.remove()
        raise
    return domain


def _configure(stack: Stack, folder: Path, record: Record, network: Slot, name: str) -> dict[str, object]:
    """The stack's own configuration, of a client alone and with other names for what is the kernel's."""
    config = configure(record, folder, stack.programs.cni)
    first_port, last_port = network.dynamic_ports
    config["client"] |= {
        "servers": [f"{LOOPBACK}:{record.ports['nomad_rpc']}"],
        "host_network": [{"public": {"cidr": f"{network.public_address}/32"}}],
        "meta": {"riti.public_addr": network.public_address},
        "bridge_network_name": network.bridge_name,
        "bridge_network_subnet": network.bridge_subnet,
        "min_dynamic_port": first_port,
        "max_dynamic_port": last_port,
        "memory_total_mb": MEMORY_MB,
    }
    del config["server"]
    return config | {
        "name": name,
        "data_dir": str(folder / "data"),
        "ports": choose_ports(("http", "rpc", "serf")),
    }


def _purge(record: Record, name: str) -> None:
    """Nomad would take it for ready until it has missed its heartbeats, and whoever asks each node's agent for lost."""
    _, nodes = call("GET", f"{record.nomad_address}/v1/nodes", HEADER, record.nomad_token)
    for one in nodes:
        if one["Name"] == name:
            place = f"{record.nomad_address}/v1/node/{one['ID']}/purge"
            status, said = call("POST", place, HEADER, record.nomad_token)
            if status != 200:
                raise DevstackError.because(f"Nomad does not forget {name}: {status} {said}", "see its log")


def _is_ready(record: Record, name: str) -> bool:
    status, nodes = call("GET", f"{record.nomad_address}/v1/nodes", HEADER, record.nomad_token)
    found = [one for one in nodes if one["Name"] == name] if status == 200 else []
    return any(one["Status"] == "ready" and one["Drivers"].get("docker", {}).get("Healthy") for one in found)
