"""The gateway as a Nomad job of two instances: image, rights, secrets and reload, on the whole stack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.clients.vault import Vault
from ritilib.devstack.gateway import describe_gateway, write_gateway_secrets
from ritilib.devstack.images.gateway import IMAGE
from ritilib.devstack.processes import wait_until
from ritilib.devstack.record import read_record
from ritilib.devstack.stack import Stack
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.gateway_file import Gateway
from ritilib.render.names import GatewayNames
from ritilib.sync.gateway_job import plan_gateway, put_gateway_rights, run_gateway_job
from ritilib.sync.unit.apply import JWT_MOUNT
from tests.integration.gateway_lab import FLEET, Lab, prepare

DEADLINE_S = 120.0
TIMEOUT_S = 30
NAMES = GatewayNames(FLEET)
SALTO = f"{FLEET}--acme--salto"


@dataclass
class Job:
    """The job, asked past RITI."""

    stack: Stack
    lab: Lab
    fleet: FleetFile
    nomad: Nomad
    log: Path

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.stack.nomad_address}/v1/{path}"
        headers = {"X-Nomad-Token": self.stack.nomad_token}
        answer = requests.request(method, url, headers=headers, json=body, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def list_running(self) -> dict[str, str]:
        """Allocation → address, of those that run."""
        found = {}
        for one in self.ask("GET", f"job/{NAMES.job_id}/allocations"):
            if (one["ClientStatus"], one["DesiredStatus"]) != ("running", "run"):
                continue
            ports = self.ask("GET", f"allocation/{one['ID']}")["AllocatedResources"]["Shared"]["Ports"]
            [https] = [port for port in ports if port["Label"] == "https"]
            found[one["ID"]] = f"https://{https['HostIP']}:{https['Value']}"
        return found

    def read_folder(self, allocation: str) -> Path:
        return self.stack.state / "nomad" / "data" / "alloc" / allocation / NAMES.task


@pytest.fixture(scope="module")
def job(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    log.touch()
    record = read_record(stack.state)
    assert record is not None
    lab = Lab(stack.state, record)
    settings = read_settings(stack.environment())
    vault, nomad = Vault(settings), Nomad(settings)
    vault.enable_jwt(JWT_MOUNT, stack.jwks_url)
    prepare(lab)
    put_gateway_rights(vault, FLEET, "default")
    write_gateway_secrets(stack, vault, FLEET)
    said = describe_gateway(stack) | {"count": 2, "port": None}
    fleet = FleetFile.model_construct(
        id="6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11", name=FLEET, gateway=Gateway.model_validate(said)
    )
    made = Job(stack, lab, fleet, nomad, log)
    try:
        yield made
    finally:
        made.ask("DELETE", f"job/{NAMES.job_id}?purge=true")
        wait_until(lambda: not made.list_running(), DEADLINE_S, "waiting until it is gone", log)


def test_two_run_and_either_takes_a_box(job: Job) -> None:
    assert plan_gateway(job.fleet, job.nomad)[1].changes == "create"
    assert run_gateway_job(job.fleet, job.nomad, wait=True) == "deployed"
    assert run_gateway_job(job.fleet, job.nomad, wait=True) == "none"
    job.lab.boxes[SALTO] = job.lab.enter(SALTO)
    running = job.list_running()
    assert len(running) == 2
    for address in running.values():
        job.lab.address = address
        token = job.lab.log_in_consul(job.lab.boxes[SALTO])
        assert token


def test_the_task_has_no_token_and_no_right_of_root(job: Job) -> None:
    client = docker.DockerClient(job.stack.docker_host)
    held = client.images.get(IMAGE)
    print(f"{IMAGE}: {held.attrs['Size'] / 1e6:.1f} MB")
    running = job.list_running()
    assert len(running) == 2
    for allocation in running:
        container = client.containers.get(f"{NAMES.task}-{allocation}")
        usage = container.stats(stream=False)["memory_stats"]["usage"]
        print(f"an idle instance: {usage / 1e6:.1f} MB")
        said = container.attrs
        assert said["Config"]["User"] == "10001:10001"
        assert said["HostConfig"]["ReadonlyRootfs"] and said["HostConfig"]["CapDrop"] == ["ALL"]
        assert not [one for one in said["Config"]["Env"] if "TOKEN" in one]
        secrets = job.read_folder(allocation) / "secrets"
        # Nomad's own socket is there where its path is short enough for one, and gives nothing without a token
        there = {one.name for one in secrets.glob("[a-z]*")} - {"api.sock"}
        assert there == {"boxes.pem", "gateway.pem", "vault.pem"}
        assert (secrets / "gateway.pem").stat().st_mode & 0o777 == 0o400


def test_a_new_certificate_cuts_no_blocking_query(job: Job) -> None:
    """What Nomad does when the document has changed: it sends SIGUSR2 to the task."""
    box = job.lab.boxes[SALTO]
    allocation, job.lab.address = next(iter(job.list_running().items()))
    token = {"X-Consul-Token": job.lab.log_in_consul(box)}
    path = f"/v1/kv/riti/{FLEET}/blocked"
    index = job.lab.ask("GET", path, box, token).headers["X-Consul-Index"]
    answers: list[requests.Response] = []
    waits = f"{path}?index={index}&wait=5m&raw"
    thread = threading.Thread(
        target=lambda: answers.append(job.lab.ask("GET", waits, box, token, timeout_s=120))
    )
    thread.start()
    thread.join(timeout=1)
    client = docker.DockerClient(job.stack.docker_host)
    container = client.containers.get(f"{NAMES.task}-{allocation}")

    def count_workers() -> int:
        return len(container.top()["Processes"])

    before = count_workers()
    job.ask("POST", f"client/allocation/{allocation}/signal", {"Signal": "SIGUSR2", "Task": NAMES.task})
    wait_until(lambda: count_workers() > before, DEADLINE_S, "waiting for the new process", job.log)
    assert job.lab.log_in(box)
    assert thread.is_alive()
    assert job.lab.consul("PUT", f"kv/riti/{FLEET}/blocked", b'["ab"]').ok
    thread.join(timeout=TIMEOUT_S)
    assert [answer.text for answer in answers] == ['["ab"]']
    wait_until(lambda: count_workers() == before, DEADLINE_S, "waiting until the old one ends", job.log)


def test_an_instance_that_ends_is_replaced_and_the_other_serves(job: Job) -> None:
    (one, _), (_, other) = job.list_running().items()
    job.ask("POST", f"allocation/{one}/stop")
    job.lab.address = other
    assert job.lab.log_in(job.lab.boxes[SALTO])
    wait_until(
        lambda: len(job.list_running()) == 2 and one not in job.list_running(),
        DEADLINE_S,
        "waiting for its successor",
        job.log,
    )
