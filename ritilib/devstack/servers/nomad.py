"""The stack's Nomad: server and client in one agent, jobs in Docker, networks by CNI."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ritilib.devstack.folders import write_private
from ritilib.devstack.processes import Process, poll, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, find_log
from ritilib.devstack.servers.dockerd import list_containers, remove_containers
from ritilib.devstack.servers.http_api import call, expect

NODE = "riti-dev"
READY_S = 90.0
EMPTY_S = 60.0
HEADER = "X-Nomad-Token"
PAUSE_IMAGE = "riti/pause:dev"
# the docker driver's defaults and net_admin, which the overlay's sidecar needs for its interface
ALLOWED_CAPABILITIES = [
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_admin",
    "net_bind_service",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
]


def configure(record: Record, state: Path, cni: Path) -> dict[str, Any]:
    """Nomad's configuration, with rule 10 of DESIGN.md: no outage of Consul or Vault ends a task."""
    network = record.network
    first_port, last_port = network.dynamic_ports
    for_ever = {"attempts": 0}
    return {
        "name": NODE,
        "data_dir": str(state / "nomad" / "data"),
        "bind_addr": LOOPBACK,
        "advertise": {"http": LOOPBACK, "rpc": LOOPBACK, "serf": LOOPBACK},
        "ports": {
            "http": record.ports["nomad_http"],
            "rpc": record.ports["nomad_rpc"],
            "serf": record.ports["nomad_serf"],
        },
        "acl": {"enabled": True},
        "disable_update_check": True,
        "log_level": "INFO",
        "server": {"enabled": True, "bootstrap_expect": 1, "raft_multiplier": 1},
        "client": {
            "enabled": True,
            "network_interface": "lo",
            "host_network": [{"public": {"cidr": f"{network.public_address}/32"}}],
            "meta": {
                "riti.public_addr": network.public_address,
                # PBXes take their generation there; elsewhere it is Consul's own port
                "riti.consul_addr": record.consul_address.removeprefix("http://"),
            },
            "cni_path": str(cni),
            "bridge_network_name": network.bridge_name,
            "bridge_network_subnet": network.bridge_subnet,
            "min_dynamic_port": first_port,
            "max_dynamic_port": last_port,
            "max_kill_timeout": "1h",
            "template": {"consul_retry": for_ever, "vault_retry": for_ever, "nomad_retry": for_ever},
            "options": {
                "driver.allowlist": ",".join(record.drivers),
                "driver.raw_exec.enable": str(int("raw_exec" in record.drivers)),
                "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean",
            },
        },
        "plugin": [
            {
                "docker": {
                    "config": {
                        "endpoint": record.docker_host,
                        "infra_image": PAUSE_IMAGE,
                        "allow_caps": ALLOWED_CAPABILITIES,
                        # no image can be pulled again; a reconciler would take other stacks' containers
                        "gc": {"image": False, "dangling_containers": {"enabled": False}},
                    }
                }
            }
        ],
        "consul": {
            "address": record.consul_address.removeprefix("http://"),
            "token": record.consul_nomad_token,
            "auto_advertise": False,
            "server_auto_join": False,
            "client_auto_join": False,
            "service_identity": {"aud": ["consul.io"], "ttl": "1h"},
            "task_identity": {"aud": ["consul.io"], "ttl": "1h"},
        },
        "vault": {
            "enabled": True,
            "address": record.vault_address,
            "jwt_auth_backend_path": "jwt-nomad",
            "default_identity": {"aud": ["vault.io"], "ttl": "1h"},
        },
    }


def start_nomad(program: Path, record: Record, state: Path, cni: Path) -> Process:
    folder = state / "nomad"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nomad.json"
    write_private(config, json.dumps(configure(record, state, cni), indent=2))
    return start_process([str(program), "agent", f"-config={config}"], find_log(state, "nomad"))


def is_ready(record: Record) -> bool:
    """Whether the node takes allocations and its Docker driver is healthy."""
    status, agent = call("GET", f"{record.nomad_address}/v1/agent/self", HEADER, record.nomad_token)
    node_id = agent.get("stats", {}).get("client", {}).get("node_id") if status == 200 else None
    if not node_id:
        return False
    status, node = call("GET", f"{record.nomad_address}/v1/node/{node_id}", HEADER, record.nomad_token)
    if status != 200 or node["Status"] != "ready" or node["SchedulingEligibility"] != "eligible":
        return False
    return bool((node.get("Drivers") or {}).get("docker", {}).get("Healthy"))


def prepare_nomad(record: Record, state: Path) -> None:
    """Wait for a leader, bootstrap the ACLs with our own token, wait until jobs can be placed."""
    log, process = find_log(state, "nomad"), record.processes.get("nomad")
    base = f"{record.nomad_address}/v1"
    wait_until(
        lambda: call("GET", f"{base}/status/leader")[0] == 200,
        READY_S,
        "waiting for Nomad's leader",
        log,
        process,
    )
    if call("GET", f"{base}/acl/token/self", HEADER, record.nomad_token)[0] != 200:
        body = {"BootstrapSecret": record.nomad_token}
        wait_until(
            lambda: call("POST", f"{base}/acl/bootstrap", body=body)[0] in (200, 400),
            READY_S,
            "bootstrapping Nomad's ACLs",
            log,
            process,
        )
        status, answer = call("GET", f"{base}/acl/token/self", HEADER, record.nomad_token)
        expect(status, answer, "Nomad does not know its management token")
    wait_until(lambda: is_ready(record), READY_S, "waiting for Nomad's node and Docker driver", log, process)


def list_allocations(record: Record, state: Path) -> set[str]:
    """Ids of this stack's allocations: those that Nomad tells of, and those with a folder here."""
    status, found = call(
        "GET", f"{record.nomad_address}/v1/allocations?namespace=*", HEADER, record.nomad_token
    )
    folder = state / "nomad" / "data" / "alloc"
    local = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    return local | {one["ID"] for one in (found if status == 200 else ())}


def stop_jobs(record: Record, state: Path) -> None:
    """Stop every job that runs, wait until its tasks are gone, remove by force what is left after a minute."""
    base = f"{record.nomad_address}/v1"
    status, jobs = call("GET", f"{base}/jobs?namespace=*", HEADER, record.nomad_token)
    # a benchmark leaves ten thousand that never ran
    for job in (one for one in jobs if one["Status"] == "running") if status == 200 else ():
        url = f"{base}/job/{quote(job['ID'], safe='')}?purge=true&namespace={job['Namespace']}"
        call("DELETE", url, HEADER, record.nomad_token)
    allocations, data = list_allocations(record, state), state / "nomad" / "data"

    def is_empty() -> bool:
        return not list_containers(record.docker_host, allocations) and not list_tasks(data)

    if not poll(is_empty, EMPTY_S if status == 200 else 0):
        remove_containers(record.docker_host, list_containers(record.docker_host, allocations))
        end_tasks(data)


def list_tasks(data: Path) -> list[int]:
    """Processes of tasks without a container (raw_exec), and Nomad's executors, one of each: both outlive Nomad.

    data is the data_dir of the agent that started them.
    """
    folder = f"{data / 'alloc'}/"
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text(errors="replace").split("\0")
            is_executor = words[1:2] == ["executor"] and folder in words[2]
            if is_executor or os.readlink(entry / "cwd").startswith(folder):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended in between
    return found


def end_tasks(data: Path) -> None:
    """End them at once, whatever they do."""

    def are_gone() -> bool:
        left = list_tasks(data)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    poll(are_gone, READY_S)
