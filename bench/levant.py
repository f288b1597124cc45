"""`riti render` of a whole fleet beside Levant rendering the fleet's jobs alone, from a template with the same values.

Levant (a Go module of HashiCorp, archived, which reads one template and one file of values in each process) is what
people used for this. It runs in turn, as a shell's loop does, and as often at once as there are cores, as RITI does.
What it writes is compared byte for byte with RITI's jobs: else the two would not have done the same.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.lab.trees import hold_tree, read_children_cpu_s
from ritilib.devstack.folders import find_cache
from ritilib.devstack.machine.recipe import Recipe, build
from ritilib.errors import RitiError
from ritilib.fleet.load import load_fleet
from ritilib.fleet.model import Box
from ritilib.gitops.workers import count_cores
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.names import UnitNames

BOXES = 1_000
JOB = "pbx/job.nomad.hcl"


@dataclass(frozen=True)
class BenchRecipe(Recipe):
    """A program that benchmarks alone need; its go.mod and go.sum lie beside them."""

    @property
    def folder(self) -> Path:
        return Path(__file__).parent / "lab" / self.name


LEVANT = BenchRecipe(
    name="levant",
    version="0.3.3",
    programs=(("levant", "github.com/hashicorp/levant"),),
    flags=("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"),
    cgo=False,
    cost="a minute on 2 cores",
)


def run(report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One object: RITI's seconds for the whole tree, Levant's for the jobs."""
    levant = build(LEVANT, find_cache(), report) / "levant"
    with hold_tree(BOXES) as tree, TemporaryDirectory(prefix="riti-bench.") as folder:
        report(f"rendering {BOXES} boxes with RITI")
        ours = tree.run("render")
        fleet = load_fleet(read_fleet_files(tree.root)).fleet
        values = {
            box.key: list_values(fleet.name, box) for company in fleet.companies for box in company.boxes
        }
        jobs = {key: (tree.root / "rendered" / key / JOB).read_text() for key in values}
        report(f"rendering {BOXES} jobs with Levant")
        template = Path(folder) / "pbx.nomad"
        first = min(values)
        template.write_text(make_template(jobs[first], values[first]))
        alone_s, _ = _run_levant(levant, template, Path(folder), values, jobs, 1)
        theirs_s, theirs_cpu_s = _run_levant(levant, template, Path(folder), values, jobs, count_cores())
    return [
        {
            "bench": "levant",
            "boxes": BOXES,
            "seconds": round(ours.seconds, 2),
            "cpu_s": round(ours.cpu_s, 2),
            "files": len(ours.lines),
            "peer_seconds": round(theirs_s, 2),
            "peer_in_turn_s": round(alone_s, 2),
            "peer_cpu_s": round(theirs_cpu_s, 2),
            "peer_files": len(jobs),
            "ratio": round(ours.seconds / theirs_s, 2),
            "ratio_in_turn": round(ours.seconds / alone_s, 2),
        }
    ]


def list_values(fleet: str, box: Box) -> dict[str, str]:
    """What is another in the job of each box, by the names that the template has for it."""
    names = UnitNames(fleet, box.company, box.slug)
    return {
        "role": names.role,
        "job_id": names.job_id,
        "kv_key": names.kv_key,
        "vault_path": names.vault_path,
        "box_key": names.key,
        "group": f'group: "{box.company}"',
        "first_address": str(box.pbx_addresses[0]),
        "second_address": str(box.pbx_addresses[1]),
        "generation_key": names.generation,
        "generations": names.generations,
    }


def make_template(job: str, values: Mapping[str, str]) -> str:
    """The job as Levant's template: each of its values, the longest first, by its name between [[ and ]]."""
    for name, value in sorted(values.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        job = job.replace(value, f"[[ .{name} ]]")
    return job


def _run_levant(
    levant: Path,
    template: Path,
    folder: Path,
    values: Mapping[str, Mapping[str, str]],
    jobs: Mapping[str, str],
    at_once: int,
) -> tuple[float, float]:
    """(seconds, seconds of CPU) for all jobs; RitiError where one is not RITI's, byte for byte."""
    places = {key: folder / key.replace("/", "--") for key in values}
    for key, place in places.items():
        place.with_suffix(".json").write_text(json.dumps(values[key]))

    def render(place: Path) -> None:
        words = ("render", f"-var-file={place}.json", f"-out={place}.nomad", str(template))
        subprocess.run([str(levant), *words], check=True, capture_output=True)

    start, before_s = time.perf_counter(), read_children_cpu_s()
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(render, places.values()))
    found = time.perf_counter() - start, read_children_cpu_s() - before_s
    for key, place in places.items():
        if place.with_suffix(".nomad").read_text() != jobs[key]:
            raise RitiError.because(f"Levant's job of {key} is another than RITI's", "see bench/levant.py")
    return found
