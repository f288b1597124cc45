"""Steps 1 to 4: the stack, the repository, the merge, the sync."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ritilib.clients.vault import Document
from ritilib.devstack import stack as stacks
from ritilib.devstack.demo.lab import FLEET, Lab
from ritilib.devstack.demo.pbx import BOXES, job_of
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.folders import find_cache
from ritilib.devstack.gateway import describe_gateway
from ritilib.devstack.images.agent import build_agent
from ritilib.errors import DevstackError
from ritilib.gitops.forge import create_forge, merge
from ritilib.render.names import split_secrets

GZIP = b"\x1f\x8b"
AWAITING = "zorro/paysandu"  # on-enroll: its PBX is made when its box is there; those of Acme on merge
ON_ENROLL = (AWAITING.split("/")[0],)
MADE = ("lighthouse/one", *(key for key in BOXES if key != AWAITING))


def start_stack(lab: Lab, step: Step) -> None:
    """Step 1: Nomad, Consul, OpenBao, and Docker where none runs."""
    # An earlier demo that was left up has another fleet of the same name on its servers.
    stacks.down(lab.state, lab.report, purge=True)
    start = time.monotonic()
    lab.stack = stacks.up(lab.state, lab.report)
    build_agent(lab.running.docker_host, find_cache(), lab.report)
    step.find(
        "programs and images are there, servers are up", True, f"{time.monotonic() - start:.1f} s to set up"
    )
    for row in stacks.status(lab.state):
        step.find(f"{row.server} answers", row.state == "ready", row.address)


def make_repository(lab: Lab, step: Step, example: Path, on_enroll: Sequence[str] = ()) -> None:
    """Step 2: the GitOps repository, and in it the example's companies and boxes.

    on_enroll: slugs of companies whose PBXes wait for their boxes, although the example has them made before.
    """
    # of an earlier demo: its cards are another fleet's, and its mirror knows another history
    for old in (lab.work, lab.forge, lab.folder / "cards", lab.folder / "mirror"):
        shutil.rmtree(old, ignore_errors=True)
    lab.folder.mkdir(parents=True, exist_ok=True)
    create_forge(lab.forge)
    lab.run_riti("init", str(lab.work), "--fleet", FLEET, "--remote", str(lab.forge))
    for folder in ("companies", "boxes"):
        shutil.copytree(example / folder, lab.work / "fleet" / folder, dirs_exist_ok=True)
    settings = lab.work / "fleet" / "fleet.yaml"
    said = settings.read_text()
    here = said.replace("10.93.0.1", lab.running.public_address)
    # a JSON value is YAML too
    settings.write_text(f"{here}gateway: {json.dumps(describe_gateway(lab.running))}\n")
    for slug in on_enroll:
        company = lab.work / "fleet" / "companies" / f"{slug}.yaml"
        company.write_text(company.read_text().replace("start: on-merge", "start: on-enroll"))
    lab.run_riti("validate", "--repo", str(lab.work))
    step.find("the forge holds a root commit that names the fleet", True, str(lab.forge))


def merge_change(lab: Lab, message: str) -> str:
    """What an engineer and the forge do: render, propose, merge. Returns the merged commit."""
    lab.run_riti("render", "--repo", str(lab.work))
    said = lab.run_riti("propose", "--repo", str(lab.work), "-m", message, "--json")
    merged = merge(lab.forge, json.loads(said)["branch"])
    lab.run_riti("pull", "--repo", str(lab.work))
    return merged


def propose_and_merge(lab: Lab, step: Step) -> None:
    """Step 3: what runs is rendered, proposed as one commit, and merged."""
    commit = merge_change(lab, "Acme and Zorro get their telephones")
    step.find("one commit, merged", True, commit[:12])
    lab.run_riti("render", "--check", "--repo", str(lab.work))
    step.find("rendered/ is what the fleet renders", True)


def sync(lab: Lab, *arguments: str) -> dict[str, Any]:
    """One cycle of the controller with its own narrow tokens; what it did."""
    said = lab.run_riti("sync", "--once", "--repo", str(lab.forge), "--json", *arguments, extra=lab.tokens)
    found: dict[str, Any] = json.loads(said)
    return found


def deploy(lab: Lab, step: Step) -> None:
    """Step 4: Acme's PBXes run, Zorro's waits for its box, and no secret is where it must not be."""
    tokens = lab.folder / "controller.json"
    tokens.unlink(missing_ok=True)
    lab.run_riti(
        "bootstrap",
        "--repo",
        str(lab.forge),
        "--jwks-url",
        lab.running.jwks_url,
        "--tokens",
        str(tokens),
        extra=lab.management,
    )
    lab.tokens = lab.management | json.loads(tokens.read_text())
    done = sync(lab)
    step.find(
        "every unit was written that waits for no box",
        len(done["changed"]) == len(MADE),
        f"{len(done['changed'])} units",
    )
    for key in MADE:
        running = [one for one in lab.nomad.list_allocations(job_of(key)) if one.client_status == "running"]
        step.find(f"{key} runs once", len(running) == 1, running[0].id[:8] if running else "no allocation")
    jobs = {one.id for one in lab.nomad.list_jobs(f"{FLEET}--").jobs}
    step.find(f"nothing is made for {AWAITING} yet", job_of(AWAITING) not in jobs, "start: on-enroll")
    judge_leaks(lab, step, MADE)


def judge_leaks(lab: Lab, step: Step, keys: Collection[str]) -> None:
    """keys are the units that have a job."""
    leaks = find_leaks(lab, keys)
    step.find("no secret of Vault stands in Git, in a job or in Consul", not leaks, ", ".join(leaks))


def find_leaks(lab: Lab, keys: Collection[str]) -> list[str]:
    """Every place outside Vault that shows one of its secrets."""
    places = {f"job {key}": json.dumps(lab.nomad.read_job(job_of(key))) for key in keys}
    places |= {entry.key: read_value(entry.value) for entry in lab.consul.read_tree(f"riti/{FLEET}/").entries}
    places |= {
        path.relative_to(lab.work).as_posix(): path.read_text(errors="replace")
        for path in lab.work.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
    secrets = list_secrets(lab)
    if not secrets:
        raise DevstackError.because("Vault shows no secret to look for", "see whether the sync wrote any")
    return [place for place, text in places.items() if any(secret in text for secret in secrets)]


def read_value(value: bytes) -> str:
    """A value of Consul as text; those for boxes are gzipped."""
    return (gzip.decompress(value) if value.startswith(GZIP) else value).decode(errors="replace")


def list_secrets(lab: Lab) -> list[str]:
    """Every secret string that Vault holds for the fleet; of keys in PEM the line that matters."""
    paths = [f"{FLEET}/lighthouse/one", f"{FLEET}/overlay/ca"]
    paths += [f"{FLEET}/{kind}/{key}" for key in BOXES for kind in ("pbx", "box")]
    found: list[str] = []
    for path in paths:
        document = lab.vault.read_document(path)
        data = document.data if document else {}
        pairs = [one for joined in data.get("iax", {}).values() for one in split_secrets(joined)]
        found += [*pairs, *data.get("phones", {}).values()]
        keys = [data.get("key"), data.get("overlay", {}).get("key")]
        found += [key.splitlines()[1] for key in keys if key]
    return found


def read_document(lab: Lab, key: str) -> Document:
    document = lab.vault.read_document(f"{FLEET}/box/{key}")
    if document is None:
        raise DevstackError.because(f"Vault has no document for box {key}", "see what the sync said of it")
    return document
