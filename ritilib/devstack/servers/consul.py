"""The stack's Consul: one server, ACLs on, nothing allowed that was not granted."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

from ritilib.devstack.folders import write_private
from ritilib.devstack.processes import Process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, find_log
from ritilib.devstack.servers.http_api import call, expect

NODE = "riti-dev"
DATACENTER = "dc1"
READY_S = 60.0
MOST_CONNECTIONS = 16384
HEADER = "X-Consul-Token"

NOMAD_POLICY = """\
agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "write" }
"""


def configure(record: Record, state: Path, connections: int) -> dict[str, Any]:
    """Consul's configuration. The tokens are named in it, not made by an API, so a crash loses none."""
    return {
        "server": True,
        "bootstrap_expect": 1,
        "node_name": NODE,
        "datacenter": DATACENTER,
        "data_dir": str(state / "consul" / "data"),
        "bind_addr": LOOPBACK,
        "client_addr": LOOPBACK,
        "ports": {
            "http": record.ports["consul_http"],
            "server": record.ports["consul_server"],
            "serf_lan": record.ports["consul_serf"],
            "serf_wan": -1,
            "https": -1,
            "dns": -1,
            "grpc": -1,
            "grpc_tls": -1,
        },
        "performance": {"raft_multiplier": 1},
        # 200 by default, and every template of every PBX holds one
        "limits": {"http_max_conns_per_client": connections},
        "acl": {
            "enabled": True,
            "default_policy": "deny",
            "tokens": {
                "initial_management": record.consul_token,
                "agent": record.consul_agent_token,
            },
        },
        "disable_update_check": True,
        "log_level": "INFO",
    }


def start_consul(program: Path, record: Record, state: Path) -> Process:
    folder = state / "consul"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    write_private(folder / "consul.json", json.dumps(configure(record, state, find_connections()), indent=2))
    argv = [str(program), "agent", f"-config-file={folder / 'consul.json'}"]
    return start_process(argv, find_log(state, "consul"))


def find_connections() -> int:
    """Connections that Consul may grant to one address: it does not start with more than its files."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


def is_ready(record: Record) -> bool:
    """Whether there is a leader and the management token is known to it."""
    leader = call("GET", f"{record.consul_address}/v1/status/leader")
    if leader[0] != 200 or not leader[1]:
        return False
    return call("GET", f"{record.consul_address}/v1/acl/token/self", HEADER, record.consul_token)[0] == 200


def prepare_consul(record: Record, state: Path) -> None:
    """Wait for a leader, then make the agents' own narrow tokens; again without harm."""
    log, process = find_log(state, "consul"), record.processes.get("consul")
    wait_until(lambda: is_ready(record), READY_S, "waiting for Consul's leader", log, process)
    policy = {"Name": "nomad-agent", "Rules": NOMAD_POLICY, "Description": "The Nomad agent of riti dev"}
    _put_once(record, "policy/name/nomad-agent", "policy", policy)
    _put_once(
        record,
        "token/self",
        "token",
        {
            "SecretID": record.consul_agent_token,
            "NodeIdentities": [{"NodeName": NODE, "Datacenter": DATACENTER}],
            "Description": "The Consul agent of riti dev",
        },
        record.consul_agent_token,
    )
    _put_once(
        record,
        "token/self",
        "token",
        {
            "SecretID": record.consul_nomad_token,
            "Policies": [{"Name": "nomad-agent"}],
            "Description": "The Nomad agent of riti dev",
        },
        record.consul_nomad_token,
    )


def _put_once(record: Record, read: str, kind: str, value: dict[str, Any], reader: str = "") -> None:
    """Make one ACL object where it is not there yet; read is asked with the token reader."""
    base = f"{record.consul_address}/v1/acl"
    if call("GET", f"{base}/{read}", HEADER, reader or record.consul_token)[0] == 200:
        return
    status, answer = call("PUT", f"{base}/{kind}", HEADER, record.consul_token, value)
    expect(status, answer, f"Consul did not make the {kind} of an agent")
