"""The local stack: again without harm, data kept, and down ends exactly what up started."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import requests

from ritilib.devstack import stack as stacks
from ritilib.devstack.network import has_interface, read_footprint, run
from ritilib.devstack.processes import Process, end_process, identify, is_running, start_process, wait_until
from ritilib.devstack.record import read_record
from ritilib.devstack.servers.dockerd import list_containers
from ritilib.devstack.stack import Stack
from ritilib.errors import DevstackError
from tests.integration.stacks import hold_stack

JOB = {
    "ID": "devstack-probe",
    "Name": "devstack-probe",
    "Type": "service",
    "Datacenters": ["*"],
    "TaskGroups": [
        {
            "Name": "probe",
            "Networks": [
                {"Mode": "bridge", "DynamicPorts": [{"Label": "probe", "To": 4242, "HostNetwork": "public"}]}
            ],
            "Tasks": [
                {
                    "Name": "probe",
                    "Driver": "docker",
                    "Config": {"image": "riti/pause:dev"},
                    "Resources": {"CPU": 20, "MemoryMB": 20},
                }
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A second stack, beside the one that the other tests share: this module stops and starts it."""
    with hold_stack(tmp_path_factory.mktemp("own")) as made:
        yield made


def ask(method: str, url: str, body: Any = None, **headers: str) -> Any:
    """Decoded JSON of an answer that went well."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = requests.request(method, url, json=body, headers=named, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def read_pids(state: Path) -> dict[str, Process]:
    record = read_record(state)
    assert record is not None
    return dict(record.processes)


def list_members(leaders: Iterable[Process]) -> list[str]:
    """Whatever still runs in the sessions; not zombies, which have ended: pid 1 takes its time with them."""
    sessions = {str(leader.pid) for leader in leaders}
    lines = run("ps", "-eo", "sid=,stat=,args=").splitlines()
    return [line for line in lines if line.split()[0] in sessions and not line.split()[1].startswith("Z")]


def list_mounts(below: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if line.split()[1].startswith(f"{below}/")]


def is_inside(word: str, subnet: str) -> bool:
    try:
        return IPv4Interface(word).network.subnet_of(IPv4Network(subnet))
    except ValueError:
        return False


def run_probe(stack: Stack) -> str:
    """Run a job in bridge mode with a mapped port; the id of its running allocation."""
    token = {"X_Nomad_Token": stack.nomad_token}
    ask("POST", f"{stack.nomad_address}/v1/jobs", {"Job": JOB}, **token)
    url = f"{stack.nomad_address}/v1/job/{JOB['ID']}/allocations"

    def list_running() -> list[str]:
        return [one["ID"] for one in ask("GET", url, **token) if one["ClientStatus"] == "running"]

    wait_until(lambda: bool(list_running()), 60, "waiting for the probe", stack.state / "logs" / "nomad.log")
    return list_running()[0]


def test_up_again_changes_nothing(own: Stack) -> None:
    before = read_pids(own.state)
    again = stacks.up(own.state, print)
    assert again == own
    assert read_pids(own.state) == before
    assert [row.state for row in stacks.status(own.state)] == ["ready"] * 3


def test_two_stacks_share_no_name(stack: Stack, own: Stack) -> None:
    for field in ("slot", "name", "public_address", "public_interface", "bridge_name", "bridge_subnet"):
        assert getattr(stack, field) != getattr(own, field)
    assert not set(read_pids(stack.state).values()) & set(read_pids(own.state).values())


def test_consul_denies_by_default(own: Stack) -> None:
    url = f"{own.consul_address}/v1/kv/anything"
    assert requests.get(url, timeout=30).status_code == 403
    assert requests.get(f"{own.nomad_address}/v1/jobs", timeout=30).status_code == 403


def test_consul_keeps_its_data(own: Stack) -> None:
    url, token = f"{own.consul_address}/v1/kv/kept?raw", {"X_Consul_Token": own.consul_token}
    ask("PUT", url, 41, **token)
    stacks.stop_server(own.state, "consul")
    assert [row.state for row in stacks.status(own.state)] == ["stopped", "ready", "ready"]
    stacks.start_server(own.state, "consul")
    assert ask("GET", url, **token) == 41


def test_vault_keeps_its_data_and_unseals_itself(own: Stack) -> None:
    token = {"X_Vault_Token": own.vault_token}
    ask("POST", f"{own.vault_address}/v1/sys/mounts/kept", {"type": "kv"}, **token)
    ask("POST", f"{own.vault_address}/v1/kept/one", {"value": "41"}, **token)
    stacks.stop_server(own.state, "vault")
    stacks.start_server(own.state, "vault")
    assert ask("GET", f"{own.vault_address}/v1/kept/one", **token)["data"] == {"value": "41"}


def test_up_repairs_a_dead_server(own: Stack) -> None:
    dead = read_pids(own.state)["nomad"]
    os.kill(dead.pid, signal.SIGKILL)
    log = own.state / "logs" / "nomad.log"
    wait_until(lambda: not is_running(dead), 30, "waiting for Nomad's end", log)
    stacks.up(own.state, print)
    assert is_running(read_pids(own.state)["nomad"])
    assert ask("GET", f"{own.nomad_address}/v1/acl/token/self", X_Nomad_Token=own.nomad_token)


def test_tokens_are_private(own: Stack) -> None:
    for name in ("stack.json", "consul/consul.json", "nomad/nomad.json", "vault/seal.key"):
        assert stat.S_IMODE((own.state / name).stat().st_mode) == 0o600
    tokens = (own.nomad_token, own.consul_token, own.vault_token)
    assert not any(token in repr(own) for token in tokens)
    for process in read_pids(own.state).values():
        for place in ("cmdline", "environ"):
            text = Path(f"/proc/{process.pid}/{place}").read_text()
            assert not any(token in text for token in tokens)
    for log in (own.state / "logs").iterdir():
        assert not any(token in log.read_text(errors="replace") for token in tokens)


def test_no_outage_ends_a_task_by_configuration(own: Stack) -> None:
    agent = ask("GET", f"{own.nomad_address}/v1/agent/self", X_Nomad_Token=own.nomad_token)
    template = agent["config"]["Client"]["TemplateConfig"]
    assert [template[f"{server}Retry"]["Attempts"] for server in ("Consul", "Vault", "Nomad")] == [0, 0, 0]


@pytest.mark.parametrize("nomad_lives", [True, False])
def test_down_ends_exactly_what_up_started(stack: Stack, tmp_path: Path, nomad_lives: bool) -> None:
    neighbour = read_pids(stack.state)
    chains = read_footprint()
    own = stacks.up(tmp_path, print)
    try:
        allocation = run_probe(own)
        processes = read_pids(own.state)
        assert list_containers(own.docker_host, {allocation})
        assert list_mounts(own.state)
        assert has_interface(own.public_interface)
        assert has_interface(own.bridge_name)
        if not nomad_lives:
            os.kill(processes["nomad"].pid, signal.SIGKILL)
    finally:
        stacks.down(own.state, print)
    assert not list_containers(own.docker_host, {allocation})
    assert not any(is_running(process) for process in processes.values())
    assert not list_members(processes.values())
    assert not list_mounts(own.state)
    assert not has_interface(own.public_interface)
    assert not has_interface(own.bridge_name)
    rules = run("iptables-save")
    for trace in (allocation, own.public_address, own.bridge_name, own.bridge_subnet):
        assert trace not in rules
    assert not [word for word in rules.split() if is_inside(word, own.bridge_subnet)]
    assert read_footprint().forward_policy == chains.forward_policy
    assert read_pids(stack.state) == neighbour
    assert [row.state for row in stacks.status(stack.state)] == ["ready"] * 3


def test_a_stack_comes_up_again_with_its_data(tmp_path: Path) -> None:
    first = stacks.up(tmp_path, print)
    url, token = f"{first.consul_address}/v1/kv/kept?raw", {"X_Consul_Token": first.consul_token}
    ask("PUT", url, 41, **token)
    stacks.down(tmp_path, print)
    assert [row.state for row in stacks.status(tmp_path)] == ["stopped"] * 3
    with pytest.raises(DevstackError, match="no stack runs"):
        stacks.environment(tmp_path)
    second = stacks.up(tmp_path, print)
    try:
        assert ask("GET", url, **token) == 41
        assert second.environment()["NOMAD_TOKEN"] == first.nomad_token
    finally:
        stacks.down(tmp_path, print, purge=True)
    assert not (tmp_path / "stack.json").exists()


def test_a_reused_pid_is_never_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        reused = identify(stranger.pid).model_copy(update={"started": "another boot:1"})
        end_process(reused, 1)
        assert stranger.poll() is None
        stranger.terminate()


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    process = start_process(["/bin/sh", "-c", "echo the disk is full; exit 1"], log)
    with pytest.raises(DevstackError, match="the disk is full") as failed:
        wait_until(lambda: False, 30, "waiting for a leader", log, process)
    assert str(log) in str(failed.value)
