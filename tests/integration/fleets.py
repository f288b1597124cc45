"""A small fleet in a GitOps repository of its own, and the controller that syncs it on the stack."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import docker
import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.clients.vault import Vault
from ritilib.devstack.stack import Stack
from ritilib.fleet.load import load_fleet
from ritilib.gitops.desired import Desired, read_desired
from ritilib.gitops.diff import write_tree
from ritilib.gitops.forge import create_forge, merge
from ritilib.gitops.layout import init_repository
from ritilib.gitops.propose import propose
from ritilib.gitops.pull import pull_base
from ritilib.gitops.worktree import read_fleet_files
from ritilib.reconcile.restarts import Restarts
from ritilib.render.names import UnitNames
from ritilib.render.tree import render_tree
from ritilib.sync.connect import connect_servers
from ritilib.sync.lead.bootstrap import bootstrap
from ritilib.sync.lead.election import Candidate, take_lead
from ritilib.sync.lead.rights import Rights
from ritilib.sync.once import sync_once
from ritilib.sync.synced import Synced

Environ = Mapping[str, str]


@dataclass(frozen=True)
class Fleet:
    """An engineer's clone, the forge, and the controller's environment (addresses, its narrow tokens)."""

    name: str
    work: Path
    forge: Path
    management: Environ
    controller: Environ

    def write_box(self, company: str, box: str, *numbers: str) -> None:
        """An office whose telephones have these extensions."""
        listed = "".join(
            f'  - {{number: "{number}", name: Phone {number}, phone: sip}}\n' for number in numbers
        )
        self.write(f"boxes/{company}/{box}.yaml", f"name: {box}\nextensions:\n{listed}")

    def write(self, path: str, text: str) -> None:
        place = self.work / "fleet" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def merge_change(self, message: str) -> str:
        """What an engineer and the forge do: render, propose, merge, pull. The merged commit."""
        files = read_fleet_files(self.work)
        write_tree(self.work, render_tree(load_fleet(files), files, version("ritilib")))
        proposal = propose(self.work, message, None, True, keep_silent)
        merged = merge(self.forge, proposal.branch)
        pull_base(self.work, keep_silent)
        return merged

    def read_desired(self, commit: str = "main") -> Desired:
        return read_desired(self.forge, commit)

    def names(self, key: str) -> UnitNames:
        return UnitNames(self.name, *key.split("/"))

    def sync(
        self,
        commit: str = "main",
        replace: Collection[str] = (),
        wait: bool = True,
        through: Environ | None = None,
        restarts: Restarts | None = None,
    ) -> Synced:
        """One cycle of the controller in this process, as the leader; through names other addresses.

        restarts are those of a cycle before.
        """
        environ = {**self.controller, **(through or {})}
        desired, tool = self.read_desired(commit), OverlayTool(Path(environ["RITI_NEBULA_CERT"]))
        with take_lead(self.make_candidate(environ)) as leadership:
            servers = connect_servers(leadership.settings, desired.fleet, tool)
            return sync_once(desired, servers, replace, keep_silent, wait, restarts=restarts or {})

    def make_candidate(self, environ: Environ) -> Candidate:
        return Candidate(read_settings(environ), self.name, f"test:{os.getpid()}", keep_silent)

    def forget_leader(self) -> None:
        """What time does when a leader was killed: its session ends. (tests/integration/test_lead.py waits for it.)"""
        consul = Consul(read_settings(self.management))
        entry = consul.read(Rights(self.name).lock)
        if entry and entry.session:
            consul.destroy_session(entry.session)

    @contextmanager
    def start_sync(self, commit: str, through: Environ, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """`riti sync --once --no-wait` as a program of its own, that leads no more when the context ends."""
        with log.open("ab") as output:
            argv = [sys.executable, "-m", "ritilib", "sync", "--once", "--no-wait"]
            argv += ["--repo", str(self.forge), "--rev", commit]
            environ = {"PATH": os.environ["PATH"], "HOME": str(log.parent), **self.controller, **through}
            process = subprocess.Popen(argv, env=environ, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            self.forget_leader()


@contextmanager
def hold_image(stack: Stack, tag: str) -> Iterator[str]:
    """Another name for the PBX's image, so that a job that names it can run."""
    client, name = docker.DockerClient(stack.docker_host), f"riti/pbx:{tag}"
    client.images.get("riti/pbx:dev").tag("riti/pbx", tag)
    try:
        yield name
    finally:
        client.images.remove(name, noprune=True, force=True)


def keep_silent(_: str) -> None:
    """A report that nobody reads."""


def make_fleet(
    stack: Stack, folder: Path, name: str, lighthouse_port: int, settings: Callable[[str], str] = str
) -> Fleet:
    """An empty company `acme`, not merged yet, and servers that are ready for its first sync.

    Each module takes a port of its own, since the lighthouses share the stack's public address.
    """
    forge, work = folder / "forge.git", folder / "telephones"
    create_forge(forge)
    init_repository(work, name, str(forge), keep_silent)
    file = work / "fleet" / "fleet.yaml"
    # these offices have no boxes that enroll
    said = file.read_text().replace("10.93.0.1", stack.public_address) + "start: on-merge\n"
    file.write_text(settings(said.replace("port: 4242", f"port: {lighthouse_port}")))
    (work / "fleet" / "companies" / "acme.yaml").write_text("name: Acme S.A.\n")
    management = stack.environment()
    desired = read_desired_id(work)
    clients = read_settings(management)
    controller = load_fleet(read_fleet_files(work)).fleet.said.controller
    made = bootstrap(
        Nomad(clients),
        Consul(clients),
        Vault(clients),
        OverlayTool(stack.nebula_cert),
        name,
        desired,
        stack.jwks_url,
        None,
        keep_silent,
        controller.namespace if controller else None,
    )
    return Fleet(name, work, forge, management, {**management, **made.environment()})


def read_desired_id(work: Path) -> str:
    """The fleet's UUID as its own file says it."""
    files = read_fleet_files(work)
    return str(load_fleet(files).fleet.said.id)


@contextmanager
def know_author() -> Iterator[None]:
    """A Git that knows an author, whatever the machine's settings are."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ana Engineer")
            patch.setenv(f"GIT_{role}_EMAIL", "ana@example.org")
        yield
