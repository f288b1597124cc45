"""Real Git repositories in temporary folders, apart from the user's and the machine's Git settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ritilib.gitops.forge import create_forge
from ritilib.gitops.layout import init_repository
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote
from ritilib.render.manifest import build_manifest, compute_tree_id, group_inputs
from tests.git_server import GitServer, serve_git
from tests.unit.gitops.concurrent import make_fleet

RunGit = Callable[..., str]


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git with one identity and no other settings; gives the settings' file."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = tmp_path_factory.mktemp("settings") / "gitconfig"
    settings.write_text("[user]\n\tname = Ana Engineer\n\temail = ana@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return settings


@pytest.fixture
def run_git() -> RunGit:
    def run(folder: Path, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout.strip()

    return run


@dataclass(frozen=True)
class Clone:
    """A GitOps repository made by init_repository, with a small rendered tree of our own making."""

    folder: Path
    run: RunGit

    def git(self, *arguments: str) -> str:
        return self.run(self.folder, *arguments)

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def add_box(self, company: str, box: str, address: str) -> None:
        self.write(f"fleet/companies/{company}.yaml", f"name: {company}\n")
        self.write(f"fleet/boxes/{company}/{box}.yaml", f"name: {box}\n")
        self.write(f"fleet/claims/overlay/{address}", f"{company}/{box} box\n")

    def render(self) -> None:
        """What `riti render` does, with one file for each box."""
        files = {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in (self.folder / "fleet").rglob("*")
            if path.is_file()
        }
        fleet_id = files["fleet/fleet.yaml"].decode().partition("\nid: ")[2][:36]
        shutil.rmtree(self.folder / "rendered", ignore_errors=True)
        for company, inputs in group_inputs(files).items():
            boxes = {
                path.split("/")[3].removesuffix(".yaml"): {"pbx/job.nomad.hcl": f"# {path}\n" + body.decode()}
                for path, body in inputs.items()
                if path.startswith("fleet/boxes/")
            }
            if company == "_fleet":
                boxes = {"lighthouse-one": {"job.nomad.hcl": "lighthouse ñ\n"}}
            for box, rendered in boxes.items():
                for path, text in rendered.items():
                    self.write(f"rendered/{company}/{box}/{path}", text)
            said = files["fleet/fleet.yaml"].decode().partition("\nremovals: [")[2].partition("]")[0]
            removals = said.split(", ") if said and company == "_fleet" else ()
            tree_id = compute_tree_id(inputs)
            manifest = build_manifest(company, "lab", fleet_id, "0.1.0", tree_id, boxes, removals=removals)
            self.write(f"rendered/{company}/manifest.json", manifest)

    def commit(self, message: str = "a change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def keep_silent(_: str) -> None:
    """A report that nobody reads."""


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    """An empty bare repository that plays the forge."""
    folder = tmp_path / "forge.git"
    create_forge(folder)
    return folder


@pytest.fixture
def clone(tmp_path: Path, run_git: RunGit) -> Clone:
    """A fleet with two boxes of acme and one of zorro, rendered and committed; no remote."""
    init_repository(tmp_path / "clone", "lab", None, keep_silent)
    made = Clone(tmp_path / "clone", run_git)
    made.add_box("acme", "montevideo", "100.80.0.2")
    made.add_box("acme", "salto", "100.80.0.3")
    made.add_box("zorro", "paysandu", "100.80.0.4")
    made.render()
    made.commit("three boxes")
    return made


@pytest.fixture
def pushed(clone: Clone, forge: Path) -> Clone:
    """The same with the forge as its origin, and main pushed."""
    clone.git("remote", "add", "origin", str(forge))
    clone.git("push", "--quiet", "--set-upstream", "origin", "main")
    return clone


@pytest.fixture
def mirror(tmp_path: Path, pushed, forge: Path) -> Mirror:
    """A mirror of the forge that has not fetched yet."""
    return Mirror(tmp_path / "state", Remote(str(forge)))


@pytest.fixture
def server(tmp_path: Path, forge: Path) -> Iterator[GitServer]:
    with serve_git(tmp_path) as served:
        yield served


@pytest.fixture
def by_http(tmp_path: Path, pushed, server: GitServer) -> Mirror:
    return Mirror(tmp_path / "state", Remote(f"{server.url}/forge.git"))


@pytest.fixture(scope="session")
def small_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered fleet of three companies with its forge and two clones, made once: copy it, never change it."""
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as settings:
        for role in ("AUTHOR", "COMMITTER"):
            settings.setenv(f"GIT_{role}_NAME", "Ana Engineer")
            settings.setenv(f"GIT_{role}_EMAIL", "ana@example.org")
        make_fleet(folder)
    return folder
