"""What the demo works with: its folders, the stack, the offices and telephones that it has started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ritilib
from ritilib.clients.consul import Consul
from ritilib.clients.docker import Docker
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.clients.vault import Vault
from ritilib.devstack.stack import Stack, environment
from ritilib.devstack.telephony.joined_office import JoinedOffice
from ritilib.devstack.telephony.phone import Phone
from ritilib.errors import DevstackError

FLEET = "demo"
LINES_SHOWN = 12
# the RITI that the demo belongs to, where another is installed
THIS_RITI = {"PYTHONPATH": str(Path(ritilib.__file__).parent.parent)}


@dataclass
class Lab:
    """One run of the demo below `folder`."""

    folder: Path
    state: Path
    report: Callable[[str], None]
    stack: Stack | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    offices: dict[str, JoinedOffice] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """The engineer's clone of the GitOps repository."""
        return self.folder / "telephones"

    @property
    def forge(self) -> Path:
        """The bare repository that plays the forge."""
        return self.folder / "forge.git"

    @property
    def running(self) -> Stack:
        if self.stack is None:
            raise DevstackError.because("the stack is not up", "run `riti dev up`")
        return self.stack

    @property
    def docker(self) -> Docker:
        return Docker(self.running.docker_host)

    @property
    def overlay(self) -> OverlayTool:
        return OverlayTool(self.running.nebula_cert)

    @property
    def management(self) -> dict[str, str]:
        """The operator's environment: addresses and management tokens."""
        return environment(self.state)

    @property
    def nomad(self) -> Nomad:
        return Nomad(read_settings(self.management))

    @property
    def consul(self) -> Consul:
        return Consul(read_settings(self.management))

    @property
    def vault(self) -> Vault:
        return Vault(read_settings(self.management))

    def run_riti(self, *arguments: str, extra: Mapping[str, str] | None = None, expected: int = 0) -> str:
        """Run the very command that a person would; its standard output. DevstackError where it ends otherwise."""
        self.report("$ riti " + " ".join(arguments))
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        author = {"GIT_AUTHOR_NAME": "Demo", "GIT_AUTHOR_EMAIL": "demo@example.invalid"}
        author |= {"GIT_COMMITTER_NAME": "Demo", "GIT_COMMITTER_EMAIL": "demo@example.invalid"}
        done = subprocess.run(
            [sys.executable, "-m", "ritilib", *arguments],
            env=inherited | author | THIS_RITI | dict(extra or {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (done.stderr + done.stdout).splitlines()
        for line in lines[:LINES_SHOWN]:
            self.report(f"  {line}")
        if len(lines) > LINES_SHOWN:
            self.report(f"  … and {len(lines) - LINES_SHOWN} lines more")
        if done.returncode != expected:
            what = f"`riti {arguments[0]}` ended with {done.returncode}, not {expected}"
            raise DevstackError.because(what, f"its words stand above; the servers' logs are in {self.state}")
        return done.stdout
