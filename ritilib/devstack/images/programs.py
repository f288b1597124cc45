"""Our own small Go programs, built once for each state of their source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ritilib.assets import find_assets
from ritilib.devstack.machine.slowly import run_slowly

FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w")
GATE = "pbx/gate"
WATCHER = "pbx/watcher"
PAUSE = "pause"


def find_hash(program: str) -> str:
    """12 hex digits over the source of one program (its folder below jobs/) and the flags."""
    digest = hashlib.sha256(repr(FLAGS).encode())
    for path in _list_source(program):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def build_program(program: str, go: Path, cache: Path, report: Callable[[str], None]) -> Path:
    """The static program, built now if the cache lacks it; DevstackError with the compiler's last lines."""
    name = Path(program).name
    target = cache / f"{name}-{find_hash(program)}"
    if target.is_file():
        return target
    report(f"building our {name} from its Go source; half a minute at most, once")
    cache.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".new")
    run_slowly(
        [str(go), "build", *FLAGS, "-o", str(beside), "."],
        f"building {name}",
        cache / f"{name}.log",
        report,
        folder=find_assets("jobs") / program,
        extra={"CGO_ENABLED": "0", "GOWORK": "off"},
        mend="the Go proxy must be reachable (go env GOPROXY)",
    )
    beside.rename(target)
    return target


def _list_source(program: str) -> list[Path]:
    folder = find_assets("jobs") / program
    names = {"go.mod", "go.sum"}
    return sorted(
        path
        for path in folder.iterdir()
        if path.name in names or (path.suffix == ".go" and not path.stem.endswith("_test"))
    )
