"""Rendered units as the containers run them: the very files, in the real images, without a network."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ritilib.box.compose import compose_box
from ritilib.box.loaded import READY
from ritilib.clients.docker import Docker
from ritilib.clients.nomad import Nomad
from ritilib.devstack.asterisk_check.conf import read_conf
from ritilib.devstack.asterisk_check.dialplan import list_steps
from ritilib.devstack.processes import poll
from ritilib.devstack.telephony.console import ask_console
from ritilib.render.asterisk_conf import BIND_FILE, CONFIG_FOLDER, SCRATCH_FOLDERS

READY_WITHIN_S = 90.0


@dataclass(frozen=True)
class Unit:
    """One Asterisk to boot: kind is "box" or "pbx"; config and secrets are file name → text."""

    kind: str
    name: str
    config: Mapping[str, str]
    secrets: Mapping[str, str]

    @property
    def files(self) -> dict[str, str]:
        """One folder's files as Asterisk sees them, its include put in."""
        joined = dict(self.config)
        for name, text in self.secrets.items():
            joined[name] = joined[name].replace(f'#include "/secrets/{name}"\n', text)
        return joined


def select_unit(tree: Mapping[str, str], key: str) -> dict[str, str]:
    """Path below rendered/<key>/ → text."""
    folder = f"rendered/{key}/"
    return {path.removeprefix(folder): text for path, text in tree.items() if path.startswith(folder)}


def list_units(tree: Mapping[str, str]) -> list[str]:
    """The keys ("acme/salto") of every box of a rendered tree."""
    ending = "/box/etc/pjsip.conf"
    return sorted(path[len("rendered/") : -len(ending)] for path in tree if path.endswith(ending))


def make_box(tree: Mapping[str, str], key: str) -> Unit:
    """A box as its agent writes it, with made-up secrets."""
    files = select_unit(tree, key)
    rendered = {path.removeprefix("box/"): text for path, text in files.items() if path.startswith("box/")}
    wanted = json.loads(files["box/secrets.json"])
    secrets: dict[str, Any] = {
        "iax": {name: f"pair-{name}" for name in wanted["pairs"]},
        "phones": {number: f"pw-{number}" for number in wanted["phones"]},
    }
    if wanted["line"]:
        secrets["line"] = "pw-line"
    return Unit("box", key, compose_box(rendered, secrets), {})


def make_pbx(tree: Mapping[str, str], key: str, nomad: Nomad) -> Unit:
    """A PBX as its Nomad job writes it: the files that Nomad's parser finds in the job, and the live ones."""
    files = select_unit(tree, key)
    job = nomad.parse(files["pbx/job.nomad.hcl"])
    prefix = "local/asterisk/"
    config = {
        template["DestPath"].removeprefix(prefix): template["EmbeddedTmpl"]
        for task in job["TaskGroups"][0]["Tasks"]
        for template in task["Templates"] or ()
        if template["DestPath"].startswith(prefix)
    }
    # the watcher writes what is included here, by the half of the pair that the instance has
    address = json.loads(files["pbx/secrets.json"])["overlay"]["network"].split("/")[0]
    include = f'#include "{BIND_FILE}"\n'
    assert include in config["iax.conf"]
    config["iax.conf"] = config["iax.conf"].replace(include, f"bindaddr={address}\n")
    # what the job's own template writes before the peers (jobs/pbx/job.nomad.hcl.j2)
    pairs = json.loads(files["pbx/secrets.json"])["pairs"]
    secrets = "".join(f"[{name}-secret](!)\nsecret=pair-{name}\n" for name in sorted(pairs))
    config["extensions.conf"] = files["pbx/live/extensions.conf"]
    return Unit("pbx", key, config, {"iax.conf": secrets + files["pbx/live/iax.conf"]})


@contextmanager
def boot(docker: Docker, folder: Path, unit: Unit) -> Iterator[str]:
    """The name of its container, once Asterisk is ready or has ended; removed in the end.

    The network namespace is empty but for loopback, and lets a socket take an address that is not there.
    """
    volumes = {}
    for place, files in ((CONFIG_FOLDER, unit.config), ("/secrets", unit.secrets)):
        path = folder / f"{unit.kind}-{unit.name.replace('/', '-')}" / place.rpartition("/")[2]
        path.mkdir(parents=True)
        for name, text in files.items():
            (path / name).write_text(text)
        volumes[str(path)] = {"bind": place, "mode": "ro"}
    name = f"riti-test-boots-{uuid.uuid4().hex[:10]}"  # other checkouts may share this Docker
    docker.run(
        f"riti/{unit.kind}:dev",
        name,
        network_mode="none",
        sysctls={"net.ipv4.ip_nonlocal_bind": "1"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        read_only=True,
        tmpfs=dict.fromkeys(SCRATCH_FOLDERS, "mode=1777,size=16m"),
        volumes=volumes,
        labels={"riti.dev": "riti-test-boots"},
    )
    try:
        poll(lambda: READY in docker.read_log(name) or not is_running(docker, name), READY_WITHIN_S)
        yield name
    finally:
        docker.remove(name)


def is_running(docker: Docker, container: str) -> bool:
    return bool(docker.inspect(container)["State"]["Running"])


def ask(docker: Docker, container: str, command: str) -> str:
    """What Asterisk's console answers."""
    return ask_console(docker.inspect(container)["State"]["Pid"], command)


def count_steps(text: str) -> dict[str, dict[str, int]]:
    """Context → extension → how many priorities it has, as a dial plan's text says it."""
    conf = read_conf("extensions.conf", text)
    plan: dict[str, dict[str, int]] = {section.name: {} for section in conf.sections}
    for step in list_steps(conf):
        plan[step.context][step.extension] = plan[step.context].get(step.extension, 0) + 1
    return plan


def read_dial_plan(docker: Docker, container: str) -> dict[str, dict[str, int]]:
    """Context → extension → how many priorities it has, as the running Asterisk tells it."""
    plan: dict[str, dict[str, int]] = {}
    steps: dict[str, int] = {}
    extension = ""
    for line in ask(docker, container, "dialplan show").splitlines():
        if found := re.match(r"\[ Context '(.*)' created by 'pbx_config' \]$", line):
            steps = plan.setdefault(found[1], {})
        elif found := re.match(r"  '(.*)' => +1\. ", line):
            extension = found[1]
            steps[extension] = 1
        elif re.match(r" +(\[.+\] +)?\d+\. ", line):
            steps[extension] += 1
    return plan


def find_complaints(docker: Docker, container: str) -> list[str]:
    """Every line of its log with a WARNING or an ERROR, and the end of a log that never said that it is ready."""
    log = docker.read_log(container)
    lines = log.splitlines()
    bad = [line for line in lines if "WARNING" in line or "ERROR" in line]
    return bad if READY in log else [*bad, *lines[-5:], "Asterisk is not ready"]
