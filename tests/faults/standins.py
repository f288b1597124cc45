"""A fleet whose PBXes are stand-ins: rendered as always, then the container in each job swapped for a small script.

Everything else of the job stays (its mark, its update, its templates with the workload's own identity), and the
manifest names what is really there. So the controller, Nomad, Consul and Vault do all that they do for a PBX, and
twenty of them start in a second.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.programs import GATE, build_program
from ritilib.fleet.load import load_fleet
from ritilib.gitops.diff import write_tree
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.language import write_json
from ritilib.render.tree import render_tree
from tests.integration.fleets import Fleet, know_author

SCRIPT = Path(__file__).parent / "standin.sh"
_JOB = re.compile(r"rendered/([^/]+/[^/]+)/pbx/job\.nomad\.hcl")
_NETWORK = re.compile(r"    network \{\n.*?\n    \}\n\n", re.DOTALL)
_OVERLAY = re.compile(r'    task "overlay" \{\n.*?\n    \}\n\n(?=    task)', re.DOTALL)
_TAKE = re.compile(r'    task "take" \{\n.*?\n    \}\n', re.DOTALL)
_RELEASE = re.compile(r'    task "release" \{\n.*?\n    \}\n\n?', re.DOTALL)
# it has no address to take; that a job has such a task is what the controller looks at
_TURN = """\
    task "take" {
      driver = "raw_exec"
      lifecycle {
        hook = "prestart"
      }
      config {
        command = "/bin/true"
      }
      logs {
        max_files     = 1
        max_file_size = 1
      }
      resources {
        cpu    = 1
        memory = 10
      }
    }
"""
_ARGUMENTS = re.compile(r"args += (\[.*\])\n")
_CONFIG = re.compile(r"      config \{\n.*?\n      \}\n", re.DOTALL)
_IMAGE = re.compile(r'task "(?:pbx|overlay)".*?image +=\s+"(.*?)"', re.DOTALL)
_CONTAINER = re.compile(
    r'      driver = "docker"\n(?:      user .*?\n)?      config \{\n.*?\n      \}\n', re.DOTALL
)
_OWNER = re.compile(r" +[ug]id += 10001\n")
_SIZE = re.compile(r"      resources \{\n.*?\n      \}\n", re.DOTALL)
_TASK = """\
      driver = "raw_exec"
      config {{
        command = "/bin/bash"
        args    = {args}
      }}
      env {{
        IMAGE    = "{image}"
        RENDERED = "{rendered}"
      }}
"""
# a task that does not come up is known to be bad in seconds
_DEADLINES = (
    ('healthy_deadline  = "5m"', 'healthy_deadline  = "25s"'),
    ('healthy_deadline  = "3m"', 'healthy_deadline  = "25s"'),
    ('progress_deadline = "5m"', 'progress_deadline = "30s"'),
)
# one that shall end goes on with its calls, but a test does not wait an hour for it
_ENDS = ('kill_timeout = "1h"', 'kill_timeout = "30s"')
_SMALL = "      resources {\n        cpu    = 1\n        memory = 10\n      }\n"


def swap_job(text: str, folder: Path, gate: Path | None = None) -> str:
    """The job with a stand-in for its container; RENDERED says which rendered job it was (SHA-256).

    gate: the program by which it takes and gives back its generation (None: it has none).
    """
    alone = _OVERLAY.sub("", _NETWORK.sub("", text))
    alone = _TAKE.sub(lambda found: _swap_gate(found[0], gate) if gate else _TURN, alone)
    alone = _RELEASE.sub(lambda found: _swap_gate(found[0], gate) if gate else "", alone)
    for before, after in _DEADLINES:
        alone = alone.replace(before, after)
    assert _DEADLINES[0][1] in alone
    alone = alone.replace(*_ENDS)
    image = _IMAGE.search(alone)
    assert image, "a job without an image"
    is_pbx = 'task "pbx"' in alone
    task = _TASK.format(
        args=json.dumps([str(SCRIPT), *([str(folder)] if is_pbx else [])]),
        image=image[1],
        rendered=hashlib.sha256(text.encode()).hexdigest(),
    )
    swapped, count = _CONTAINER.subn(lambda _: task, alone)
    assert count == 1, "a job with more than one container left"
    return _SIZE.sub(_SMALL, _OWNER.sub("", swapped))


def _swap_gate(task: str, gate: Path) -> str:
    """The task, with the program itself in the place of its image."""
    arguments = _ARGUMENTS.search(task)
    assert arguments
    # where a container has the allocation's folder
    words = [re.sub("^/alloc/", "${NOMAD_ALLOC_DIR}/", one) for one in json.loads(arguments[1])]
    said = f"        command = {json.dumps(str(gate))}\n        args    = {json.dumps(words)}\n"
    config = f"      config {{\n{said}      }}\n"
    swapped = _CONFIG.sub(lambda _: config, task).replace('driver = "docker"', 'driver = "raw_exec"')
    return _SIZE.sub(_SMALL, swapped)


def swap_jobs(tree: Mapping[str, str], swap: Callable[[str, str], str]) -> dict[str, str]:
    """A rendered tree with every job swapped (unit, its job → another), and manifests that list what is there."""
    swapped = {
        path: swap(match[1], text) if (match := _JOB.fullmatch(path)) else text for path, text in tree.items()
    }
    for path, text in tree.items():
        if path.startswith("rendered/") and path.endswith("/manifest.json"):
            said = json.loads(text)
            for box, entry in said["boxes"].items():
                job = f"{path.removesuffix('/manifest.json')}/{box}/pbx/job.nomad.hcl"
                entry["files"]["pbx/job.nomad.hcl"] = hashlib.sha256(swapped[job].encode()).hexdigest()
            swapped[path] = write_json(said)
    return swapped


def find_standin(job: Mapping[str, Any]) -> dict[str, Any]:
    """The task that plays the PBX, of a job in Nomad's JSON."""
    [task] = [one for one in job["TaskGroups"][0]["Tasks"] if "IMAGE" in (one["Env"] or {})]
    return dict(task)


class StandinFleet(Fleet):
    """A fleet that is rendered with stand-ins."""

    @property
    def calls(self) -> Path:
        """The folder by which a test says which stand-in has calls."""
        return self.work.parent

    def merge_change(self, message: str) -> str:
        """What an engineer and the forge do, in one commit of main: render, swap, commit, push. The commit."""
        self.render()
        return self.push(message)

    def render(self) -> None:
        files = read_fleet_files(self.work)
        tree = render_tree(load_fleet(files), files, version("ritilib"))
        write_tree(self.work, swap_jobs(tree, self.swap))

    def swap(self, key: str, text: str) -> str:
        """What takes the place of a unit's job ("_fleet/lighthouse-one": a lighthouse's)."""
        return swap_job(text, self.calls)

    def push(self, message: str, *words: str) -> str:
        """Commit whatever the work tree holds as the next of main, and push it (with these words of git push)."""
        with know_author():
            self.git("add", "--all")
            self.git("commit", "--quiet", "--allow-empty", "--message", message)
            self.git("push", "--quiet", *words, "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        """Git in the engineer's clone; what it prints."""
        done = subprocess.run(["git", *words], cwd=self.work, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def say_calls(self, key: str, channels: int) -> None:
        """Have a stand-in say that it has so many channels in use."""
        place = self.calls / f"calls-{self.names(key).job_id}"
        beside = place.with_suffix(".new")
        beside.write_text(f"{channels}\n")
        beside.replace(place)


class TakingFleet(StandinFleet):
    """Stand-ins that take their generations, as PBXes do: by the same program, with the same rights."""

    def swap(self, key: str, text: str) -> str:
        go = shutil.which("go")
        assert go is not None
        return swap_job(text, self.calls, build_program(GATE, Path(go), find_cache() / "images", print))
