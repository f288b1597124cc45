"""Servers that no registry ships as a program: built once from their Go modules, into the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack.machine.slowly import run_slowly
from ritilib.errors import DevstackError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """How one server is built: go.mod and go.sum of recipes/<name>/, the packages, the flags.

    programs maps each program's name to the Go package that it is built from. assets are folders of the first
    one's module that it reads when it runs; they lie beside it. cost tells a waiting person how long; the figures were
    measured with an empty cache on 2 cores (x86-64, Go 1.26).
    """

    name: str
    version: str
    programs: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    cgo: bool
    cost: str
    assets: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return RECIPES / self.name

    def needed_go(self) -> tuple[int, int]:
        """The Go version that go.mod asks for, as (1, minor)."""
        for line in (self.folder / "go.mod").read_text().splitlines():
            if line.startswith("go "):
                major, minor = line.split()[1].split(".")[:2]
                return int(major), int(minor)
        return (1, 24)

    def find_hash(self) -> str:
        """12 hex digits over everything that decides what is built: go.mod, go.sum, packages, flags, assets."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        digest.update(repr((self.programs, self.flags, self.cgo)).encode())
        digest.update("".join(f"{name}\0" for name in self.assets).encode())
        return digest.hexdigest()[:12]

    def find_folder(self, cache: Path) -> Path:
        """Where the built programs lie, or will."""
        return cache / "servers" / f"{self.name}-{self.version}-{self.find_hash()}"

    def is_built(self, cache: Path) -> bool:
        return all((self.find_folder(cache) / program).is_file() for program, _ in self.programs)


NOMAD = Recipe(
    name="nomad",
    version="1.10.5",
    programs=(("nomad", "github.com/hashicorp/nomad"),),
    flags=("-mod=readonly", "-buildvcs=false", "-trimpath", "-tags", "osusergo", "-ldflags", "-s -w"),
    cgo=True,
    cost="7 to 10 minutes on 2 cores",
)
CONSUL = Recipe(
    name="consul",
    version="1.15.3",
    programs=(("consul", "github.com/hashicorp/consul"),),
    flags=("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w -checklinkname=0"),
    cgo=False,
    cost="4 to 5 minutes on 2 cores",
)
NEBULA = Recipe(
    name="nebula",
    version="1.10.3",
    programs=(
        ("nebula", "github.com/slackhq/nebula/cmd/nebula"),
        ("nebula-cert", "github.com/slackhq/nebula/cmd/nebula-cert"),
    ),
    flags=("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"),
    cgo=False,
    cost="half a minute on 2 cores",
)
GITEA = Recipe(
    name="gitea",
    version="1.24.6",
    programs=(("gitea", "code.gitea.io/gitea"),),
    flags=(
        *("-mod=readonly", "-buildvcs=false", "-trimpath"),
        *("-tags", "sqlite sqlite_unlock_notify", "-ldflags", "-s -w"),
    ),
    cgo=True,
    cost="7 to 8 minutes on 2 cores",
    assets=("templates", "options", "public"),
)
ALL = (NOMAD, CONSUL, NEBULA)
FORGE = (
    GITEA,
)  # for the tests of what the controller says to a forge; neither the stack nor the demo has one


def build(recipe: Recipe, cache: Path, report: Callable[[str], None]) -> Path:
    """The folder with the recipe's programs, built now if it is not there.

    The checkout's go.mod and go.sum are never touched; what is built appears in the cache whole or not at
    all. DevstackError with the last lines of the compiler where it fails.
    """
    target = recipe.find_folder(cache)
    if recipe.is_built(cache):
        return target
    title = f"{recipe.name.capitalize()} {recipe.version}"
    report(f"building {title} from its Go module: no registry ships a program; about {recipe.cost}, once")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as work_name:
        work = Path(work_name)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(recipe.folder / name, work / name)
        out = work / "out"
        out.mkdir()
        log = target.parent / f"{target.name}.log"
        started = time.monotonic()
        for program, package in recipe.programs:
            _compile(recipe, program, package, work, out, log, title, report)
        if recipe.assets:
            _copy_assets(recipe, work, out)
        shutil.rmtree(target, ignore_errors=True)
        out.rename(target)
    report(f"built {title} in {time.monotonic() - started:.0f} s")
    return target


def _compile(
    recipe: Recipe,
    program: str,
    package: str,
    work: Path,
    out: Path,
    log: Path,
    title: str,
    report: Callable[[str], None],
) -> None:
    run_slowly(
        ["go", "build", *recipe.flags, "-o", str(out / program), package],
        f"building {title}",
        log,
        report,
        folder=work,
        extra={"CGO_ENABLED": "1" if recipe.cgo else "0", "GOWORK": "off"},
        mend="the Go proxy must be reachable (go env GOPROXY)",
    )


def _copy_assets(recipe: Recipe, work: Path, out: Path) -> None:
    """Beside the programs, since Go's own cache may be emptied; and ours to write, unlike the files there."""
    words = ["go", "list", "-mod=readonly", "-f", "{{.Module.Dir}}", recipe.programs[0][1]]
    asked = subprocess.run(
        words, cwd=work, env={**os.environ, "GOWORK": "off"}, check=False, capture_output=True, text=True
    )
    if asked.returncode != 0:
        what = f"{recipe.name}'s own files were not found: {asked.stderr.strip()[-400:]}"
        raise DevstackError.because(what, "the Go proxy must be reachable (go env GOPROXY)")
    for name in recipe.assets:
        source = Path(asked.stdout.strip()) / name
        for file in (one for one in source.rglob("*") if one.is_file()):
            target = out / name / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
