"""`riti sync` as the process that it is, and the forge's hook that tells it of a merge."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ritilib.devstack.demo.lab import Lab
from ritilib.errors import DevstackError

DEADLINE_S = 300.0
LOOK_EVERY_S = 0.01
END_S = 60.0
SECRET = "a-secret-of-some-length"


@dataclass(frozen=True)
class Controller:
    """One process; it says where it listens in its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def list_events(self, event: str) -> list[dict[str, Any]]:
        """Lines so far; one that is not whole yet is left."""
        text = self.log.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [
            one
            for one in map(json.loads, (line for line in lines if line[:1] == "{"))
            if one["event"] == event
        ]

    def wait_for(self, event: str, **said: Any) -> None:
        """Until a line tells it."""
        self.wait_until(
            lambda: any(said.items() <= one.items() for one in self.list_events(event)), f"`{event}` {said}"
        )

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Until something holds; DevstackError where the process ends before, or it takes too long."""
        end = time.monotonic() + DEADLINE_S
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                words = self.log.read_text()[-2000:]
                raise DevstackError.because(
                    f"`riti sync` did not come to {what}: {words}", "see what it says"
                )
            time.sleep(LOOK_EVERY_S)

    def tell_push(self) -> None:
        """What a forge (Gitea) sends after a push of main."""
        body = json.dumps({"ref": "refs/heads/main", "after": "1" * 40}).encode()
        signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Gitea-Event": "push", "X-Gitea-Signature": signed, "Content-Type": "application/json"}
        url = f"{self.address}/hook/gitea"
        requests.post(url, data=body, headers=headers, timeout=DEADLINE_S).raise_for_status()

    def count_cycles(self) -> float:
        """How many it has run, by its own /metrics."""
        text = requests.get(f"{self.address}/metrics", timeout=DEADLINE_S).text
        return sum(
            float(one.split()[-1]) for one in text.splitlines() if one.startswith("riti_cycles_total{")
        )

    @property
    def address(self) -> str:
        [listening] = self.list_events("listening")
        return f"http://127.0.0.1:{listening['port']}"

    def read_peak_mb(self) -> float:
        """The most resident memory that it ever had, in MB (VmHWM; the kernel counts in KiB)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found  # every process has it
        return int(found[1]) * 1024 / 1e6


@contextmanager
def hold_controller(lab: Lab) -> Iterator[Controller]:
    """The process while the context lasts, with a new mirror; it looks once an hour, so only the hook is quick."""
    with tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        log = Path(folder) / "log"
        words = ("sync", "--remote", str(lab.forge), "--mirror", f"{folder}/mirror")
        argv = [sys.executable, "-m", "ritilib", *words, "--listen", "127.0.0.1:0", "--poll", "3600"]
        inherited = {
            key: os.environ[key] for key in ("PATH", "HOME", "LANG", "PYTHONPATH") if key in os.environ
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, env={**inherited, **lab.tokens, "RITI_HOOK_GITEA": SECRET}, stdout=output, stderr=output
            )
        try:
            controller = Controller(process, log)
            controller.wait_for("listening")
            yield controller
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
