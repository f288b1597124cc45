"""RITI's small programs and Nebula, cross-built for the box by Go: static, so nothing of them is emulated."""

from __future__ import annotations

import shutil
from pathlib import Path

from boxos.programs import run
from boxos.store import Store, hash_tree
from ritilib.assets import find_assets
from ritilib.devstack.images.programs import FLAGS, GATE, WATCHER
from ritilib.devstack.machine.recipe import NEBULA

_CROSS = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "arm64", "GOARM64": "v8.0", "GOWORK": "off"}


def build_programs(store: Store) -> dict[str, Path]:
    """Path in the image → program. RitiError where Go is absent or its proxy does not answer."""
    version = run(["go", "version"]).strip()
    programs = {}
    for program, place in ((GATE, "usr/lib/riti/gate"), (WATCHER, "usr/lib/riti/watcher")):
        programs[place] = _build_own(store, program, version)
    programs["usr/bin/nebula"] = _build_nebula(store, version)
    return programs


def _build_own(store: Store, program: str, version: str) -> Path:
    folder = find_assets("jobs") / program

    def build(target: Path) -> None:
        run(["go", "build", *FLAGS, "-o", target, "."], folder=folder, extra=_CROSS)

    return store.make(Path(program).name, [hash_tree(folder), version, repr((FLAGS, _CROSS))], build)


def _build_nebula(store: Store, version: str) -> Path:
    package = dict(NEBULA.programs)["nebula"]

    def build(target: Path) -> None:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(NEBULA.folder / name, target.parent / name)
        words: list[str | Path] = ["go", "build", *NEBULA.flags, "-o", target, package]
        run(words, folder=target.parent, extra=_CROSS)

    return store.make("nebula", [NEBULA.find_hash(), version, repr(_CROSS)], build)
