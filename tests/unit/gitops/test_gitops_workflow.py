"""The whole way on the example fleet, with the real renderer: init, render, propose, merge, read."""

from __future__ import annotations

import shutil
from pathlib import Path

from ritilib.fleet.load import load_fleet
from ritilib.gitops.desired import Desired, read_desired
from ritilib.gitops.diff import compare, read_rendered_tree, write_tree
from ritilib.gitops.forge import merge
from ritilib.gitops.layout import init_repository
from ritilib.gitops.propose import propose
from ritilib.gitops.pull import pull_base
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.tree import render_tree

EXAMPLE = Path(__file__).parents[3] / "examples/fleet"


def keep_silent(_: str) -> None: ...


def render(repo: Path) -> dict[str, str]:
    files = read_fleet_files(repo)
    return render_tree(load_fleet(files), files, "0.1.0")


def deploy(repo: Path, forge: Path, message: str) -> Desired:
    write_tree(repo, render(repo))
    assert compare(read_rendered_tree(repo), render(repo)) == ()
    merge(forge, propose(repo, message, None, True, keep_silent).branch)
    pull_base(repo, keep_silent)
    return read_desired(forge, "main")


def test_the_example_fleet_from_yaml_to_desired_state(forge: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    init_repository(repo, "demo", str(forge), keep_silent)
    for folder in ("companies", "boxes"):
        shutil.copytree(EXAMPLE / folder, repo / "fleet" / folder, dirs_exist_ok=True)
    desired = deploy(repo, forge, "The first offices")
    boxes = {f"{path.parent.name}/{path.stem}" for path in (EXAMPLE / "boxes").glob("*/*.yaml")}
    assert {unit.key for unit in desired.units} == boxes | {"lighthouse/one"}
    assert desired.held == ()

    box = repo / "fleet/boxes/acme/salto.yaml"
    text = box.read_text(encoding="utf-8")
    box.write_text(text.replace('    public: "+59847331201"\n', ""), encoding="utf-8")
    desired = deploy(repo, forge, "Salto gives its number back")
    assert desired.held == () and not (repo / "fleet/claims/number/+59847331201").exists()

    shutil.rmtree(repo / "fleet/boxes/zorro")
    (repo / "fleet/companies/zorro.yaml").unlink()
    desired = deploy(repo, forge, "Zorro leaves")
    assert desired.held == () and not any(unit.key.startswith("zorro/") for unit in desired.units)
