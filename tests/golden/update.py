"""Golden trees: tests/golden/<case>/fleet is rendered to tests/golden/<case>/rendered (and fleet/claims).

`python -m tests.golden.update` writes them anew; the review of that difference is the point of them.
"""

from __future__ import annotations

from pathlib import Path

from ritilib.fleet.load import load_fleet
from ritilib.gitops.diff import write_tree
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.tree import render_tree

HERE = Path(__file__).parent
VERSION = "golden"  # the tree must not change with each release's number


def list_cases() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/fleet"))


def render_case(case: str) -> dict[str, str]:
    files = read_fleet_files(HERE / case)
    return render_tree(load_fleet(files), files, VERSION)


if __name__ == "__main__":
    for name in list_cases():
        for change in write_tree(HERE / name, render_case(name)):
            print(name, change.kind, change.path)
