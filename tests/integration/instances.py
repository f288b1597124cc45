"""Controllers that run as programs of their own: `riti sync`, and what is heard of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ritilib.devstack.processes import wait_until
from tests.integration.fleets import Fleet

DEADLINE_S = 60.0
SECRET = "a-secret-of-some-length"


@dataclass
class Instance:
    """One controller; it tells where it listens in its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def events(self, event: str) -> list[dict[str, Any]]:
        """Lines so far; one that is not whole yet is left."""
        text = self.log.read_text()
        told = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line[:1] == "{"]
        return [one for one in told if one["event"] == event]

    def wait_for(self, event: str, **said: Any) -> None:
        def is_told() -> bool:
            return any(said.items() <= one.items() for one in self.events(event))

        wait_until(is_told, DEADLINE_S, f"waiting for `{event}` {said}", self.log)

    def ask(self, page: str) -> requests.Response:
        return requests.get(f"{self.address}/{page}", timeout=DEADLINE_S)

    def count_cycles(self) -> float:
        lines = self.ask("metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("riti_cycles_total{"))

    def tell_push(self) -> requests.Response:
        """The webhook of a forge (Gitea) after a push of main."""
        body = json.dumps({"ref": "refs/heads/main", "after": "1" * 40}).encode()
        signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Gitea-Event": "push", "X-Gitea-Signature": signed, "Content-Type": "application/json"}
        return requests.post(f"{self.address}/hook/gitea", data=body, headers=headers, timeout=DEADLINE_S)

    @property
    def address(self) -> str:
        self.wait_for("listening")
        return f"http://127.0.0.1:{self.events('listening')[0]['port']}"


def start_controller(
    fleet: Fleet,
    folder: Path,
    name: str,
    running: ExitStack,
    through: Mapping[str, str] | None = None,
    poll_s: float = 3600,
) -> Instance:
    """`riti sync` on the fleet's forge, until running ends; through names other addresses of the servers.

    It polls once an hour unless told otherwise: what is quick then has another cause. Its mirror and its log bear name.
    """
    log = folder / f"{name}.log"
    argv = [sys.executable, "-m", "ritilib", "sync", "--remote", str(fleet.forge)]
    argv += ["--mirror", str(folder / name), "--listen", "127.0.0.1:0", "--poll", f"{poll_s:g}"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            env={**environ, **fleet.controller, **(through or {}), "RITI_HOOK_GITEA": SECRET},
            stdout=output,
            stderr=output,
        )
    running.callback(process.wait)
    running.callback(process.kill)
    return Instance(process, log)
