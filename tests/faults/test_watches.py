"""300 PBX watches from one host: Consul's limit for one client address, by its default and as the stack sets it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import urlsplit

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.settings import read_settings
from ritilib.devstack.processes import end_process, poll, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, choose_ports, read_record
from ritilib.devstack.servers import consul as servers_consul
from ritilib.devstack.servers.http_api import call
from ritilib.devstack.stack import Stack
from ritilib.sync.lead.bootstrap import judge_connections
from tests.faults.rows import SERVERS
from tests.faults.servers import Servers
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet

LIMIT = SERVERS[-1]
WATCHES = 300
DEADLINE_S = 60.0
REFUSED_S = 3.0  # a refusal comes at once; what is served waits
DEFAULT_LIMIT = 200
KEY = "riti/watched/pbx/acme/salto/1"


@pytest.fixture(scope="module")
def fleets() -> tuple[Fleet, ...]:
    """None: what is on trial is the servers' settings."""
    return ()


@dataclass
class Watches:
    """Blocking queries of one key, each by a connection of its own, as the templates of so many PBXes hold them."""

    connections: list[socket.socket]

    def read_statuses(self, within_s: float) -> list[int]:
        """The status of each answer that comes within this time, sorted; the others still wait."""
        selector, statuses = DefaultSelector(), []
        for one in self.connections:
            selector.register(one, EVENT_READ)

        def read() -> bool:
            for key, _ in selector.select(0.05):
                line = key.fileobj.recv(64)  # type: ignore[union-attr]  # a socket
                statuses.append(int(line.split()[1]))
                selector.unregister(key.fileobj)
            return len(statuses) == len(self.connections)

        poll(read, within_s)
        return sorted(statuses)


@contextmanager
def hold_watches(address: str, token: str, index: int) -> Iterator[Watches]:
    parts = urlsplit(address)
    asked = f"GET /v1/kv/{KEY}?index={index}&wait=120s HTTP/1.1\r\nHost: c\r\nX-Consul-Token: {token}\r\n\r\n"
    with ExitStack() as ends:
        connections = []
        for _ in range(WATCHES):
            one = ends.enter_context(socket.create_connection((parts.hostname, parts.port), DEADLINE_S))
            one.sendall(asked.encode())
            connections.append(one)
        yield Watches(connections)


@pytest.mark.row(LIMIT)
def test_300_watches_of_one_host_are_served_as_the_stack_is_set(stack: Stack, witness: Witness) -> None:
    servers = Servers(stack.environment())
    servers.ask("CONSUL_HTTP", "PUT", f"kv/{KEY}", data=b"{}")
    index = int(servers.ask("CONSUL_HTTP", "GET", f"kv/{KEY}").headers["X-Consul-Index"])
    with hold_watches(stack.consul_address, stack.consul_token, index) as watches:
        assert watches.read_statuses(1.0) == []
        servers.ask("CONSUL_HTTP", "PUT", f"kv/{KEY}", data=b'{"files": {}}')
        assert watches.read_statuses(DEADLINE_S) == [200] * WATCHES
    servers.ask("CONSUL_HTTP", "DELETE", f"kv/{KEY}")
    witness.hand[f"key {KEY}"] = None


@pytest.mark.row(LIMIT)
def test_bootstrap_warns_of_consuls_default(stack: Stack, witness: Witness, tmp_path: Path) -> None:
    """An agent as it comes refuses the 201st, and says which limit it has."""
    with hold_default_consul(stack, tmp_path) as address:
        environ = {**stack.environment(), "CONSUL_HTTP_ADDR": address}
        limit = Consul(read_settings(environ)).read_connection_limit()

        def is_refused() -> bool:
            with hold_watches(address, stack.consul_token, 1 << 40) as watches:
                return watches.read_statuses(REFUSED_S) == [429] * (WATCHES - DEFAULT_LIMIT)

        # a busy Consul notices late that one who asked before has hung up, and counts it too
        assert poll(is_refused, DEADLINE_S)
    assert limit == DEFAULT_LIMIT
    assert "http_max_conns_per_client = 16384" in judge_connections(limit)
    assert judge_connections(Consul(read_settings(stack.environment())).read_connection_limit()) == ""


@contextmanager
def hold_default_consul(stack: Stack, folder: Path) -> Iterator[str]:
    """Another Consul by itself, with the limit that it comes with; its address."""
    record = read_record(stack.state)
    assert record is not None
    ports = choose_ports(("http", "server", "serf_lan"))
    said = servers_consul.configure(record, folder, DEFAULT_LIMIT)
    said.pop("limits")
    said |= {"data_dir": str(folder / "data"), "ports": {**said["ports"], **ports}}
    config, log = folder / "consul.json", folder / "consul.log"
    config.write_text(json.dumps(said))
    process = start_process([str(stack.programs.consul), "agent", f"-config-file={config}"], log)
    address = f"http://{LOOPBACK}:{ports['http']}"

    def is_ready() -> bool:
        asked = (servers_consul.HEADER, stack.consul_token)
        return call("GET", f"{address}/v1/acl/token/self", *asked)[0] == 200

    try:
        wait_until(is_ready, DEADLINE_S, "waiting for the other Consul", log, process)
        yield address
    finally:
        end_process(process, DEADLINE_S)
