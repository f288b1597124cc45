"""The controller's job on the stack: its allocations, which of them leads, and what Nomad keeps of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ritilib.clients.consul import Consul
from ritilib.clients.settings import read_settings
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.reconcile.leading import Lead, read_lead
from ritilib.render.names import ControllerNames
from ritilib.sync.lead.rights import Rights
from tests.integration.fleets import Fleet

TIMEOUT_S = 30
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Controllers:
    """Asked with management tokens, through the servers' own HTTP interfaces."""

    fleet: Fleet
    stack: Stack
    namespace: str
    log: Path

    @property
    def names(self) -> ControllerNames:
        return ControllerNames(self.fleet.name)

    def nomad(self, method: str, path: str, body: Any = None, token: str | None = None) -> requests.Response:
        return requests.request(
            method,
            f"{self.stack.nomad_address}/v1/{path}",
            headers={"X-Nomad-Token": token or self.stack.nomad_token},
            params={"namespace": self.namespace},
            json=body,
            timeout=TIMEOUT_S,
        )

    def vault(self, method: str, path: str, body: Any = None) -> requests.Response:
        url = f"{self.stack.vault_address}/v1/{path}"
        headers = {"X-Vault-Token": self.stack.vault_token}
        return requests.request(method, url, headers=headers, json=body, timeout=TIMEOUT_S)

    def consul(self, method: str, path: str) -> requests.Response:
        url = f"{self.stack.consul_address}/v1/{path}"
        return requests.request(
            method, url, headers={"X-Consul-Token": self.stack.consul_token}, timeout=TIMEOUT_S
        )

    def riti(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command with an engineer's tokens, on the merged commit."""
        argv = [sys.executable, "-m", "ritilib", *arguments, "--repo", str(self.fleet.forge)]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.log.parent), "PYTHONPATH": os.getcwd()}
        return subprocess.run(
            argv, env={**environ, **self.fleet.management}, check=False, capture_output=True, text=True
        )

    def list_running(self) -> list[dict[str, Any]]:
        """Nomad's stubs of the allocations that are to run and do."""
        found = self.nomad("GET", f"job/{self.names.job_id}/allocations").json()
        return [one for one in found if (one["ClientStatus"], one["DesiredStatus"]) == ("running", "run")]

    def read_allocation(self, allocation: str) -> dict[str, Any]:
        found: dict[str, Any] = self.nomad("GET", f"allocation/{allocation}").json()
        return found

    def read_lock(self) -> tuple[Lead | None, bool]:
        """What the lock says, and whether somebody holds it."""
        entry = Consul(read_settings(self.stack.environment())).read(Rights(self.fleet.name).lock)
        return (read_lead(entry.key, entry.value), bool(entry.session)) if entry else (None, False)

    def find_leader(self) -> str:
        """The allocation that leads, by the lock; "" where none of those that run does."""
        lead, is_held = self.read_lock()
        if not lead or not is_held:
            return ""
        short = lead.who.rpartition(":")[2]
        return next((one["ID"] for one in self.list_running() if one["ID"].startswith(short)), "")

    def wait_leader(self, but: str = "") -> str:
        """The allocation that leads, as soon as one does, another than `but`."""
        wait_until(
            lambda: self.find_leader() not in ("", but), DEADLINE_S, "waiting until one leads", self.log
        )
        return self.find_leader()

    def list_roles(self) -> list[str]:
        """What each running instance says of itself at /leads."""
        addresses = [self.find_address(one["ID"]) for one in self.list_running()]
        return sorted(self.ask(address, "leads").text.strip() for address in addresses)

    def find_address(self, allocation: str) -> str:
        [port] = self.read_allocation(allocation)["AllocatedResources"]["Shared"]["Ports"]
        return f"http://{port['HostIP']}:{port['Value']}"

    def ask(self, address: str, page: str) -> requests.Response:
        return requests.get(f"{address}/{page}", timeout=TIMEOUT_S)

    def tell_push(self, address: str, secret: str) -> int:
        """A forge's hook; the status of the answer."""
        body = json.dumps({"ref": "refs/heads/main"}).encode()
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Gitea-Event": "push", "X-Gitea-Signature": signed, "Content-Type": "application/json"}
        return requests.post(
            f"{address}/hook/gitea", data=body, headers=headers, timeout=TIMEOUT_S
        ).status_code

    def find_folder(self, allocation: str) -> Path:
        return self.stack.state / "nomad" / "data" / "alloc" / allocation

    def read_events(self, allocation: str) -> list[dict[str, Any]]:
        """The lines of its log."""
        logs = sorted((self.find_folder(allocation) / "alloc" / "logs").glob("controller.stdout.*"))
        text = "".join(log.read_text() for log in logs)
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def list_alive(self, tokens: dict[str, tuple[str, ...]]) -> list[str]:
        """Of a leader's tokens, by their accessors, those that some server still knows."""
        alive = [f"nomad {one}" for one in tokens["nomad"] if self.nomad("GET", f"acl/token/{one}").ok]
        alive += [f"consul {one}" for one in tokens["consul"] if self.consul("GET", f"acl/token/{one}").ok]
        for one in tokens["vault"]:
            if self.vault("POST", "auth/token/lookup-accessor", {"accessor": one}).ok:
                alive.append(f"vault {one}")
        return alive

    def remove(self) -> None:
        """Stop the job, and forget it and its namespace."""
        self.nomad("DELETE", f"job/{self.names.job_id}?purge=true")
        wait_until(
            lambda: not self.list_running(), DEADLINE_S, "waiting until the controller is gone", self.log
        )
