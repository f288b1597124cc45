"""No secret that Vault holds stands in Git, in a job or in Consul: `git grep` over all that ever was."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ritilib.devstack.stack import Stack
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings

SHORTEST = 12  # of a line that is looked for; a PEM's last line may be shorter


@dataclass(frozen=True)
class Lab:
    """A fleet of two companies, merged and synced twice."""

    fleet: Fleet
    holdings: Holdings
    secrets: frozenset[str]
    folder: Path

    @property
    def patterns(self) -> Path:
        """A file of all secrets for `git grep -f`, so that none stands in an argument."""
        file = self.folder / "patterns"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write("\n".join(sorted(self.secrets)) + "\n")
        return file


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("secrets")
    holdings = Holdings("secrets", stack.environment())
    with know_author():
        fleet = make_fleet(stack, folder, "secrets", 4304)
        try:
            fleet.write("companies/zorro.yaml", "name: Zorro Ltda.\n")
            fleet.write_box("acme", "montevideo", "101")
            fleet.write_box("zorro", "paysandu", "301")
            fleet.merge_change("two companies")
            assert fleet.sync(wait=False).is_clean
            fleet.write_box("acme", "montevideo", "101", "102")
            fleet.write_box("acme", "salto", "201")
            fleet.merge_change("Salto opens")
            assert fleet.sync(wait=False).is_clean
            documents = holdings.read_documents()
            found = frozenset(line for one in documents.values() for line in list_lines(one["data"]))
            yield Lab(fleet, holdings, found, folder)
        finally:
            holdings.remove(folder / "log")


def list_lines(value: Any) -> Iterable[str]:
    """Every line of every string of a document; headings of PEM are no secrets."""
    if isinstance(value, dict):
        for one in value.values():
            yield from list_lines(one)
    else:
        for line in value.splitlines():
            if len(line) >= SHORTEST and not line.startswith("-----"):
                yield line


def grep(repo: Path, patterns: Path) -> list[str]:
    """revision:path of each file that holds one of the patterns, in the trees of all commits of all refs."""
    commits = run_git(repo, "rev-list", "--all").stdout.split()
    assert commits
    found = run_git(
        repo, "grep", "--fixed-strings", "--text", "--files-with-matches", f"-f{patterns}", *commits
    )
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.splitlines()


def run_git(repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=repo, capture_output=True, text=True, check=False)


def test_every_kind_of_secret_is_looked_for(lab: Lab) -> None:
    documents = lab.holdings.read_documents()
    assert {path.split("/")[0] for path in documents} == {"pbx", "box", "overlay", "lighthouse"}
    for path, kind in (("pbx/acme/salto", "iax"), ("box/acme/salto", "phones"), ("box/acme/salto", "iax")):
        assert set(documents[path]["data"][kind].values()) < lab.secrets
    keys = [one["data"].get("overlay", one["data"]).get("key") for one in documents.values()]
    assert {key.splitlines()[1] for key in keys if key} < lab.secrets


def test_git_holds_no_secret(lab: Lab) -> None:
    assert grep(lab.fleet.forge, lab.patterns) == []
    assert grep(lab.fleet.work, lab.patterns) == []


def test_a_secret_in_git_would_be_found(lab: Lab, tmp_path: Path) -> None:
    """The control: in a file that a later commit removed, on a branch that was never merged."""
    leaky = tmp_path / "leaky"
    run_git(tmp_path, "clone", "--quiet", str(lab.fleet.forge), str(leaky))
    with know_author():
        run_git(leaky, "switch", "--quiet", "--create", "draft")
        (leaky / "notes.txt").write_text(f"secret = {min(lab.secrets)}\n")
        for step in (
            ("add", "notes.txt"),
            ("commit", "-qm", "notes"),
            ("rm", "-q", "notes.txt"),
            ("commit", "-qm", "no"),
        ):
            assert run_git(leaky, *step).returncode == 0
    [found] = grep(leaky, lab.patterns)
    assert found.endswith(":notes.txt")


def test_jobs_and_values_hold_no_secret(lab: Lab) -> None:
    jobs = lab.holdings.read_jobs()
    assert len(jobs) == 4
    versions = [lab.holdings.nomad("GET", f"job/{one['ID']}/versions?diffs=true") for one in jobs]
    shown = {one["ID"]: json.dumps([one, every]) for one, every in zip(jobs, versions, strict=True)}
    shown |= lab.holdings.read_kv()
    for place, text in shown.items():
        assert not [secret for secret in lab.secrets if secret in text], place
    # the control: the text of the jobs is whole
    assert "riti/data/secrets/pbx/acme/salto" in shown["secrets--acme--salto"]
