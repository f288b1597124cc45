"""Two people, one forge: a small real fleet, changes of it, and what becomes of two of them at once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import FleetError, GitopsError
from ritilib.fleet.load import load_fleet
from ritilib.gitops.desired import read_desired
from ritilib.gitops.diff import compare, read_rendered, write_tree
from ritilib.gitops.forge import create_forge
from ritilib.gitops.layout import init_repository
from ritilib.gitops.objects import read_files
from ritilib.gitops.propose import Proposal, propose
from ritilib.gitops.update import Updated, update_proposal
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.manifest import is_hidden
from ritilib.render.tree import render_tree

VERSION = "0.1.0"


def keep_silent(_: str) -> None:
    """A report that nobody reads."""


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {arguments}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def say_box(name: str, *numbers: str, public: str = "", serial: str = "") -> str:
    """A box's file; `public` belongs to its first extension."""
    head = f"name: {name}\n" + (f"serial: {serial}\n" if serial else "") + "extensions:\n"
    lines = [f'  - number: "{number}"\n    name: Phone {number}\n    phone: sip\n' for number in numbers]
    if public:
        lines[0] += f'    public: "{public}"\n'
    return head + "".join(lines)


@dataclass(frozen=True)
class Desk:
    """One person's clone."""

    folder: Path

    def write(self, path: str, text: str) -> None:
        place = self.folder / "fleet" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def edit(self, path: str, old: str, new: str) -> None:
        place = self.folder / "fleet" / path
        text = place.read_text(encoding="utf-8")
        assert old in text
        place.write_text(text.replace(old, new, 1), encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        place = self.folder / "fleet" / path
        place.write_text(place.read_text(encoding="utf-8") + text, encoding="utf-8")

    def remove(self, path: str) -> None:
        (self.folder / "fleet" / path).unlink()

    def rename_company(self, old: str, new: str) -> None:
        fleet = self.folder / "fleet"
        (fleet / "boxes" / old).rename(fleet / "boxes" / new)
        (fleet / f"companies/{old}.yaml").rename(fleet / f"companies/{new}.yaml")

    def render(self) -> None:
        files = read_fleet_files(self.folder)
        write_tree(self.folder, render_tree(load_fleet(files), files, VERSION))

    def propose(self, branch: str) -> Proposal:
        self.render()
        return propose(self.folder, f"Change {branch}", branch, True, keep_silent)

    def update(self, branch: str | None = None) -> Updated:
        return update_proposal(self.folder, branch, None, True, VERSION, keep_silent)

    def mend(self, branch: str, change: Callable[[Desk], None]) -> None:
        """The steps that a refusal names, up to the last one."""
        git(self.folder, "stash", "--quiet", "--include-untracked")
        git(self.folder, "switch", "--quiet", branch)
        words = ["git", "merge", "--quiet", "--no-commit", "origin/main"]
        subprocess.run(words, cwd=self.folder, capture_output=True, check=False)
        change(self)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--no-edit")


def make_fleet(folder: Path) -> None:
    """A forge with a fleet of two companies, five boxes, in folder/forge.git; and two people's clones of it."""
    forge = folder / "forge.git"
    create_forge(forge)
    ana = Desk(folder / "ana")
    init_repository(ana.folder, "lab", str(forge), keep_silent)
    ana.write("companies/acme.yaml", 'name: Acme S.A.\nroutes:\n  - number: "100"\n    to: "101"\n')
    ana.write("boxes/acme/montevideo.yaml", say_box("Montevideo", "101", "102", public="+59826001101"))
    ana.write("boxes/acme/salto.yaml", say_box("Salto", "201", serial="10000000a1b2c3d4"))
    ana.write("companies/zorro.yaml", "name: Zorro Ltda.\n")
    ana.write("boxes/zorro/paysandu.yaml", say_box("Paysandú", "301", public="+59847221301"))
    ana.write("boxes/zorro/rivera.yaml", say_box("Rivera", "302"))
    ana.write("companies/nandu.yaml", "name: Ñandú\n")
    ana.write("boxes/nandu/minas.yaml", say_box("Minas", "401"))
    ana.render()
    git(ana.folder, "add", "--all")
    git(ana.folder, "commit", "--quiet", "--message", "the fleet")
    git(ana.folder, "push", "--quiet")
    git(folder, "clone", "--quiet", str(forge), "bob")


def copy_fleet(source: Path, target: Path) -> tuple[Path, Desk, Desk]:
    """(forge, Ana's desk, Bob's desk), as make_fleet made them."""
    shutil.copytree(source, target)
    forge = target / "forge.git"
    for name in ("ana", "bob"):
        git(target / name, "remote", "set-url", "origin", str(forge))
    return forge, Desk(target / "ana"), Desk(target / "bob")


@dataclass(frozen=True)
class Landed:
    """What sync would make of a commit: refused whole, or some companies held; fits: the files are a fleet at all."""

    refused: str
    held: tuple[str, ...]
    fits: bool
    clean: bool

    @property
    def right(self) -> bool:
        """Everything is as a fresh render makes it, and nothing is held back."""
        return self.clean and not self.refused and not self.held


def judge(repo: Path, rev: str) -> Landed:
    """Looks at a commit, and asserts the invariant: no unit is handed to sync but as a fresh render makes it."""
    files = {
        path: text
        for path, text in read_files(repo, git(repo, "rev-parse", rev), "fleet").items()
        if not is_hidden(path)
    }
    try:
        fresh = render_tree(load_fleet(files), files, VERSION)
    except FleetError:
        fresh = {}
    clean = bool(fresh) and compare(read_rendered(repo, rev), fresh) == ()
    try:
        desired = read_desired(repo, rev)
    except GitopsError as error:
        assert all(problem.mend for problem in error.problems)
        return Landed(str(error), (), bool(fresh), clean)
    assert all(problem.mend for _, problem in desired.held)
    for unit in desired.units:
        company, box = unit.key.split("/")
        place = f"_fleet/lighthouse-{box}" if unit.kind == "lighthouse" else unit.key
        top = f"rendered/{place}/"
        wanted = {path.removeprefix(top): text for path, text in fresh.items() if path.startswith(top)}
        assert dict(unit.files) == wanted, f"{unit.key} of {company} is stale, and would be applied"
    return Landed("", tuple(company for company, _ in desired.held), bool(fresh), clean)


def merge_plainly(forge: Path, *branches: str) -> tuple[Path, tuple[str, ...]]:
    """Merge branches of the forge one after the other into main, in a clone: (the clone, the files in conflict).

    A forge without the rule of up-to-date branches does just that. () where Git saw no conflict; else main stands where
    it stood before the merge that failed.
    """
    clone = forge.parent / "-".join(branches)
    git(forge.parent, "clone", "--quiet", str(forge), str(clone))
    for branch in branches:
        words = ["git", "merge", "--quiet", "--no-edit", "--no-ff", f"origin/{branch}"]
        if subprocess.run(words, cwd=clone, capture_output=True, check=False).returncode != 0:
            conflicts = git(clone, "diff", "--name-only", "--diff-filter=U").split()
            assert conflicts
            git(clone, "merge", "--abort")
            return clone, tuple(conflicts)
    return clone, ()
