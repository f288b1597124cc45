"""`riti sync` as the program that it is, for tests and benchmarks: started, listened to, ended."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import requests

from ritilib.devstack.processes import wait_until

DEADLINE_S = 60.0
SECRET = "a-secret-of-some-length"


@dataclass
class Told:
    """A controller's log, one JSON object a line."""

    log: Path
    deadline_s: ClassVar[float] = DEADLINE_S

    def events(self, event: str) -> list[dict[str, Any]]:
        """Lines so far; one that is not whole yet is left."""
        text = self.log.read_text()
        told = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line[:1] == "{"]
        return [one for one in told if one["event"] == event]

    def has_told(self, event: str, **said: Any) -> bool:
        """Whether a line says so."""
        return any(said.items() <= one.items() for one in self.events(event))

    def wait_for(self, event: str, **said: Any) -> None:
        """Until a line says so; DevstackError with the last lines where none does in deadline_s."""
        what = f"waiting for `{event}` {said}"
        wait_until(lambda: self.has_told(event, **said), self.deadline_s, what, self.log)


@dataclass
class Instance(Told):
    """One controller as a program; it tells where it listens in its log."""

    process: subprocess.Popen[bytes]

    def ask(self, page: str) -> requests.Response:
        return requests.get(f"{self.address}/{page}", timeout=self.deadline_s)

    def count_cycles(self) -> float:
        lines = self.ask("metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("riti_cycles_total{"))

    def tell_push(self) -> requests.Response:
        """The webhook of a forge (Gitea) after a push of main."""
        body = json.dumps({"ref": "refs/heads/main", "after": "1" * 40}).encode()
        signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Gitea-Event": "push", "X-Gitea-Signature": signed, "Content-Type": "application/json"}
        return requests.post(
            f"{self.address}/hook/gitea", data=body, headers=headers, timeout=self.deadline_s
        )

    @property
    def address(self) -> str:
        self.wait_for("listening")
        return f"http://127.0.0.1:{self.events('listening')[0]['port']}"

    def end(self) -> None:
        """By force, if it has not ended."""
        self.process.kill()
        self.process.wait()


def start_controller(
    folder: Path, name: str, remote: str, environ: Mapping[str, str], options: Sequence[str] = ()
) -> Instance:
    """An instance of its own mirror and log in this folder; environ has addresses and the standing tokens."""
    log = folder / f"{name}.log"
    argv = [
        sys.executable,
        "-m",
        "ritilib",
        "sync",
        "--remote",
        remote,
        "--mirror",
        str(folder / name),
        *options,
    ]
    shell = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd()}
    with log.open("ab") as output:
        process = subprocess.Popen(argv, env={**shell, **environ}, stdout=output, stderr=output)
    return Instance(log, process)
