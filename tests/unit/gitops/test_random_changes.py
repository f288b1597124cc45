"""Random pairs of small changes to a small fleet: whatever Git merges, no stale tree is handed to sync."""

from __future__ import annotations

import itertools
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ritilib.errors import FleetError, GitopsError
from ritilib.fleet.load import load_fleet
from ritilib.gitops.objects import read_files
from ritilib.gitops.trees import change_tree, write_blobs
from ritilib.gitops.update import update_proposal
from ritilib.render.manifest import is_hidden
from ritilib.render.tree import render_tree
from tests.unit.gitops.concurrent import VERSION, copy_fleet, git, judge, keep_silent, say_box

Files = dict[str, str]
Change = Callable[[Files, random.Random], None]
UPDATES = 5


def list_boxes(files: Files) -> list[str]:
    return sorted(path for path in files if path.startswith("fleet/boxes/"))


def list_companies(files: Files) -> list[str]:
    return sorted(path.split("/")[2][:-5] for path in files if path.startswith("fleet/companies/"))


def add_box(files: Files, chance: random.Random) -> None:
    company, box = chance.choice(list_companies(files)), chance.choice(("artigas", "tala"))
    public = chance.choice(("", "+59847331202"))
    serial = chance.choice(("", "10000000ffffffff"))
    text = say_box(box, chance.choice(("501", "502")), public=public, serial=serial)
    files.setdefault(f"fleet/boxes/{company}/{box}.yaml", text)


def remove_box(files: Files, chance: random.Random) -> None:
    del files[chance.choice(list_boxes(files))]


def edit_name(files: Files, chance: random.Random) -> None:
    path = chance.choice(list_boxes(files))
    files[path] = files[path].replace("name: Phone", chance.choice(("name: Taller", "name: Office")), 1)


def add_phone(files: Files, chance: random.Random) -> None:
    path = chance.choice(list_boxes(files))
    public = chance.choice(("", '    public: "+59847331202"\n'))
    files[path] += f'  - number: "{chance.choice(("105", "106"))}"\n    name: More\n    phone: sip\n{public}'


def set_serial(files: Files, chance: random.Random) -> None:
    path = chance.choice(list_boxes(files))
    if "serial" not in files[path]:
        files[path] = files[path].replace("extensions:", "serial: 10000000ffffffff\nextensions:", 1)


def move_route(files: Files, chance: random.Random) -> None:
    path = f"fleet/companies/{chance.choice(list_companies(files))}.yaml"
    number = chance.choice(("101", "201", "301", "401"))
    files[path] = files[path].split("routes:")[0] + f'routes:\n  - {{number: "100", to: "{number}"}}\n'


def rename_company(files: Files, chance: random.Random) -> None:
    old, new = chance.choice(list_companies(files)), chance.choice(("yaro", "tero"))
    for path in list(files):
        if path == f"fleet/companies/{old}.yaml" or path.startswith(f"fleet/boxes/{old}/"):
            files[path.replace(f"/{old}", f"/{new}", 1)] = files.pop(path)


def close_company(files: Files, chance: random.Random) -> None:
    company = chance.choice(list_companies(files))
    for path in list(files):
        if path == f"fleet/companies/{company}.yaml" or path.startswith(f"fleet/boxes/{company}/"):
            del files[path]


def open_company(files: Files, chance: random.Random) -> None:
    company = chance.choice(("yaro", "tero"))
    files.setdefault(f"fleet/companies/{company}.yaml", f"name: {company}\n")
    files.setdefault(f"fleet/boxes/{company}/minas.yaml", say_box("Minas", "501"))


def set_codecs(files: Files, chance: random.Random) -> None:
    path = chance.choice([f"fleet/companies/{chance.choice(list_companies(files))}.yaml", "fleet/fleet.yaml"])
    if "codecs" not in files[path]:
        files[path] += f"codecs: [{chance.choice(('ulaw', 'g722'))}]\n"


def set_image(files: Files, chance: random.Random) -> None:
    text = files["fleet/fleet.yaml"]
    files["fleet/fleet.yaml"] = text.replace("riti/pbx:dev", f"riti/pbx:{chance.choice('ab')}")


SMALL: tuple[Change, ...] = (
    add_box,
    remove_box,
    edit_name,
    edit_name,
    add_phone,
    set_serial,
    set_serial,
    move_route,
    rename_company,
    close_company,
    open_company,
    set_codecs,
    set_image,
)


@pytest.fixture
def repo(small_fleet: Path, tmp_path: Path) -> Path:
    """A clone on no branch."""
    _, _, bob = copy_fleet(small_fleet, tmp_path / "fleet")
    git(bob.folder, "switch", "--quiet", "--detach")
    return bob.folder


def propose_randomly(repo: Path, base: str, first: Change, chance: random.Random) -> str:
    """A commit on base of `first` and perhaps another small change, rendered: what `riti propose` would make."""
    read = read_files(repo, base, "fleet").items()
    before = {path: content.decode() for path, content in read if not is_hidden(path)}
    while True:
        files = dict(before)
        for change in (first, *chance.sample(SMALL, chance.choice((0, 0, 1)))):
            change(files, chance)
        content = {path: text.encode() for path, text in files.items()}
        try:
            rendered = render_tree(load_fleet(content), content, VERSION)
        except FleetError:
            continue
        if files != before:
            break
    people = {path: text for path, text in files.items() if not path.startswith("fleet/claims/")}
    listed = git(repo, "ls-tree", "-r", "--name-only", base, "fleet", "rendered").splitlines()
    kept = dict.fromkeys(path for path in listed if not is_hidden(path))
    written = write_blobs(repo, {path: text.encode() for path, text in (people | rendered).items()})
    return commit(repo, change_tree(repo, base, kept | written), base)


def commit(repo: Path, tree: str, *parents: str) -> str:
    lineage = [word for parent in parents for word in ("-p", parent)]
    return git(repo, "commit-tree", *lineage, "-m", "a change", tree)


def merge(repo: Path, one: str, other: str) -> str | None:
    """The merge of two commits by Git alone; None where it is a conflict."""
    words = ["git", "merge-tree", "--write-tree", one, other]
    done = subprocess.run(words, cwd=repo, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return commit(repo, done.stdout.split()[0], one, other) if done.returncode == 0 else None


@pytest.mark.parametrize(("seed", "guesses"), [(0, False), (1, True)], ids=["git", "git-that-guesses"])
def test_no_stale_tree_is_ever_applied(repo: Path, seed: int, guesses: bool) -> None:
    """Every pair of a pool, in both orders; then some of those that conflict are put together by an update.

    guesses: as a forge that overlooks our .gitattributes and takes new files along where a folder was renamed.
    """
    (repo / ".git/info/attributes").write_text("rendered/** merge\n" if guesses else "")
    git(repo, "config", "merge.directoryRenames", "true" if guesses else "conflict")
    chance = random.Random(seed)
    base = git(repo, "rev-parse", "origin/main")
    pool = [propose_randomly(repo, base, change, chance) for change in SMALL]
    met, clean = [], set()
    for pair in itertools.combinations(pool, 2):
        for one, other in (pair, pair[::-1]):
            merged = merge(repo, one, other)
            if merged is None:
                met.append((one, other))
            elif (tree := git(repo, "rev-parse", f"{merged}^{{tree}}")) not in clean:
                clean.add(tree)
                landed = judge(repo, merged)
                # Two files of the fleet may not fit although Git is content; then nothing at all may be applied.
                assert landed.right or landed.held or landed.refused
    assert met and clean
    done = 0
    for one, other in chance.sample(met, UPDATES):
        done += update(repo, base, one, other)
    assert done


def update(repo: Path, base: str, main: str, branch: str) -> bool:
    """Whether `riti propose --update` puts branch on main: what it makes is right, what it refuses is left alone."""
    git(repo, "update-ref", "refs/remotes/origin/main", main)
    git(repo, "update-ref", "refs/heads/mine", branch)
    try:
        made = update_proposal(repo, "mine", None, False, VERSION, keep_silent)
    except GitopsError as error:
        assert all(problem.mend for problem in error.problems)
        assert git(repo, "rev-parse", "mine") == branch
        return False
    finally:
        git(repo, "update-ref", "refs/remotes/origin/main", base)
    assert judge(repo, made.commit).right
    assert git(repo, "show", "-s", "--format=%P", made.commit) == main
    return True
