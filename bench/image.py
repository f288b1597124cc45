"""The Asterisk images: megabytes, seconds until ready, memory; beside the start of an empty container.

Seconds are medians, from asking Docker for the container until Asterisk says that it is ready.
"""

from __future__ import annotations

import gzip
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import hold_stack, read_memory_mb
from ritilib.box.loaded import READY
from ritilib.clients.docker import Docker
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.trial import write_trial
from ritilib.errors import DevstackError

ROUNDS = 7
DEADLINE_S = 30.0
LOOK_EVERY_S = 0.005
NAME = "riti-bench-image"


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object each for the PBX and the box."""
    with hold_stack(report) as stack, tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        docker = Docker(stack.docker_host)
        report(f"starting an empty container {ROUNDS} times")
        empty = {"image": "riti/pause:dev", "network_mode": "none"}
        floor_s = statistics.median(_start(docker, empty)[0] for _ in range(ROUNDS))
        return [_measure(kind, docker, Path(folder), floor_s, report) for kind in ("pbx", "box")]


def _measure(
    kind: str, docker: Docker, folder: Path, floor_s: float, report: Callable[[str], None]
) -> dict[str, Any]:
    report(f"starting the {kind} {ROUNDS} times")
    options = write_trial(folder, kind)
    rounds = [_start(docker, options, READY) for _ in range(ROUNDS)]
    ready_s, rss_mb, pss_mb = (statistics.median(values) for values in zip(*rounds, strict=True))
    return {
        "bench": "image",
        "image": kind,
        "unpacked_mb": round(docker.measure_image(f"riti/{kind}:dev") / 1e6, 1),
        "gzip_mb": round(_compress(next((find_cache() / "images").glob(f"{kind}-*.tar"))) / 1e6, 1),
        "ready_s": round(ready_s, 3),
        "rss_mb": round(rss_mb, 1),
        "pss_mb": round(pss_mb, 1),
        "floor_s": round(floor_s, 3),
        "ratio": round(ready_s / floor_s, 2),
    }


def _start(docker: Docker, options: dict[str, Any], ready: str = "") -> tuple[float, float, float]:
    """(seconds until the log says ready, RSS in MB, PSS in MB) of one container, removed again."""
    given = dict(options)
    # the SDK wants tmpfs as a mapping, docker-compose as a list
    given["tmpfs"] = dict(place.split(":", 1) for place in given.get("tmpfs", ()))
    started = time.perf_counter()
    try:
        docker.run(given.pop("image"), NAME, **given)
        while ready not in docker.read_log(NAME):
            if time.perf_counter() - started > DEADLINE_S:
                raise DevstackError.because("the container does not get ready", docker.read_log(NAME)[-500:])
            time.sleep(LOOK_EVERY_S)
        seconds = time.perf_counter() - started
        return seconds, *read_memory_mb(docker.inspect(NAME)["State"]["Pid"])
    finally:
        docker.remove(NAME)


def _compress(tar: Path) -> int:
    """Bytes of the tar after gzip -6, which is what a registry would send."""
    with tempfile.TemporaryFile() as squeezed:
        with tar.open("rb") as plain, gzip.GzipFile(fileobj=squeezed, mode="wb", compresslevel=6) as target:
            shutil.copyfileobj(plain, target)
        return squeezed.tell()
