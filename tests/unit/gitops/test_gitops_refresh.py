"""What is remembered changes nothing but the time: the same bytes, verdicts and problems as without a memory."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ritilib.errors import FleetError, Problem
from ritilib.fleet.load import load_fleet
from ritilib.gitops import refresh, stamps
from ritilib.gitops.diff import compare, read_rendered_tree
from ritilib.gitops.memory import Memory, hash_code
from ritilib.gitops.refresh import render_work_tree, validate_work_tree
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.tree import render_tree
from tests.unit.fleets import FLEET

RITI = "0"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Three companies of three boxes, not rendered yet."""
    root = tmp_path / "repo"
    write(root, "fleet/fleet.yaml", FLEET)
    for company in ("acme", "beta", "zorro"):
        write(root, f"fleet/companies/{company}.yaml", f"name: {company}\n")
        for number in range(3):
            write(root, f"fleet/boxes/{company}/b{number}.yaml", make_box(company, number))
    return root


@pytest.fixture
def memory(repo: Path, tmp_path: Path) -> Memory:
    return Memory(tmp_path / "memory", repo)


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stamp is believed at once; the edits of these tests change a file's size or inode."""
    monkeypatch.setattr(stamps, "SETTLED_NS", -(10**18))


def make_box(company: str, number: int, name: str = "Office") -> str:
    public = 59826000000 + sum(map(ord, company)) * 10 + number
    return (
        f'name: {name}\nextensions:\n  - number: "{100 + number}"\n    name: Desk\n    public: "+{public}"\n'
    )


def write(root: Path, path: str, text: str) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.new")
    beside.write_text(text)
    beside.replace(place)


def record(root: Path, company: str, frames: int) -> None:
    """Words `hello` of a company, so many frames of 20 ms."""
    place = root / f"fleet/words/{company}/hello.gsm"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes((b"\xd0" + bytes(32)) * frames)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def judge_cold(repo: Path) -> tuple[Problem, ...] | dict[str, str]:
    """The problems of the fleet, or the tree that it renders, without any memory."""
    files = read_fleet_files(repo)
    try:
        return render_tree(load_fleet(files), files, RITI)
    except FleetError as error:
        return error.problems


def check_step(repo: Path, memory: Memory, way: str) -> None:
    """Do one command with the memory, and compare all that it says and writes with the cold way."""
    wanted, before = judge_cold(repo), read_rendered_tree(repo)
    act: Callable[[], object]
    if way == "validate":
        act = lambda: validate_work_tree(repo, memory)  # noqa: E731
    else:
        act = lambda: render_work_tree(repo, RITI, memory, write=way == "render")  # noqa: E731
    if isinstance(wanted, tuple):
        with pytest.raises(FleetError) as caught:
            act()
        assert caught.value.problems == wanted
    elif way == "validate":
        assert act() == validate_work_tree(repo, Memory(None, repo))
    else:
        assert act() == compare(before, wanted)
    after = wanted if way == "render" and isinstance(wanted, dict) else before
    assert read_rendered_tree(repo) == after


def pick(chance: random.Random, repo: Path, pattern: str) -> Path | None:
    found = sorted(path for path in repo.glob(pattern) if path.is_file())
    return chance.choice(found) if found else None


def edit_randomly(chance: random.Random, repo: Path) -> str:
    """One edit of the kinds that people and their tools make; its name."""
    kinds = ("box", "new", "gone", "company", "ended", "moved", "fleet", "claim", "hand", "lost", "broken")
    kind = chance.choice((*kinds, "twice", "stray", "box", "box", "nothing", "swapped", "words", "menu"))
    company, number = chance.choice(("acme", "beta", "zorro", "new")), chance.randrange(5)
    box = pick(chance, repo, "fleet/boxes/*/*.yaml")
    rendered = pick(chance, repo, "rendered/**/*")
    claim = pick(chance, repo, "fleet/claims/*/*")
    if kind == "box" and box:
        write(repo, str(box.relative_to(repo)), make_box(box.parent.name, number, f"N{chance.random()}"))
    elif kind == "new":
        write(repo, f"fleet/boxes/{company}/b{number}.yaml", make_box(company, number))
    elif kind == "gone" and box:
        box.unlink()
    elif kind == "company":
        write(repo, f"fleet/companies/{company}.yaml", f"name: {company} {chance.random()}\n")
    elif kind == "ended":
        shutil.rmtree(repo / "fleet/boxes" / company, ignore_errors=True)
        (repo / f"fleet/companies/{company}.yaml").unlink(missing_ok=True)
    elif kind == "moved" and box:
        target = repo / "fleet/boxes" / company / f"m{number}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        box.replace(target)
    elif kind == "fleet":
        write(repo, "fleet/fleet.yaml", FLEET.replace("riti/pbx:dev", f"riti/pbx:v{chance.randrange(9)}"))
    elif kind == "claim" and claim:
        chance.choice(
            (claim.unlink, lambda: append(claim, " "), lambda: claim.write_text("acme/gone box\n"))
        )()
    elif kind == "hand" and rendered:
        append(rendered, "# by hand\n")
    elif kind == "lost" and rendered:
        rendered.unlink()
    elif kind == "broken" and box:
        append(box, "extensions: [\n")
    elif kind == "twice" and box:
        write(repo, str(box.relative_to(repo)), make_box(company, number))
    elif kind == "words":
        record(repo, company, chance.randrange(1, 4))
    elif kind == "menu":
        menu = 'menus: [{number: "70", name: M, words: hello, choices: {"1": "100"}, else: "101"}]'
        write(repo, f"fleet/companies/{company}.yaml", f"name: {company} {chance.random()}\n{menu}\n")
    elif kind == "stray":
        write(repo, chance.choice(("rendered/x", "rendered/acme/y/z", "rendered/old/z")), "stray")
    elif kind == "swapped":
        write(repo, "rendered/beta", "a file") if not (repo / "rendered/beta").exists() else shutil.rmtree(
            repo / "rendered/beta", ignore_errors=True
        )
    return kind


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("seed", range(8))
def test_after_any_edits_the_tree_is_the_one_that_no_memory_gives(
    seed: int, repo: Path, memory: Memory
) -> None:
    chance = random.Random(seed)
    good = {path.relative_to(repo): path.read_bytes() for path in repo.rglob("*.yaml")}
    check_step(repo, memory, "render")
    for number in range(30):
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            edit_randomly(chance, repo)
        check_step(repo, memory, chance.choice(("render", "render", "check", "validate")))
        if number % 6 == 5:  # mended: else most of the way would be one long error
            shutil.rmtree(repo / "fleet/boxes")
            shutil.rmtree(repo / "fleet/companies")
            shutil.rmtree(repo / "fleet/words", ignore_errors=True)
            for path, content in good.items():
                write(repo, str(path), content.decode())
            check_step(repo, memory, "render")


@pytest.mark.usefixtures("aged")
def test_one_changed_box_renders_its_company_only(
    repo: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_work_tree(repo, RITI, memory, write=True)
    rendered: list[str] = []
    render_folder = refresh.render_folder

    def spy(fleet, name, *rest):
        rendered.append(name)
        return render_folder(fleet, name, *rest)

    monkeypatch.setattr(refresh, "render_folder", spy)
    assert render_work_tree(repo, RITI, memory, write=True) == ()
    assert rendered == []
    write(repo, "fleet/boxes/beta/b1.yaml", make_box("beta", 1, "Other name"))
    append(repo / "rendered/zorro/b0/box/overlay.yml", "# by hand\n")
    changes = render_work_tree(repo, RITI, memory, write=True)
    assert rendered == ["beta", "zorro"]
    assert {change.path.split("/")[1] for change in changes} == {"beta", "zorro"}


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("way", ["check", "validate"])
@pytest.mark.parametrize("said", [None, "beta/gone box\n", "lighthouse/gone\n", "gone/b0 box\n"])
def test_a_claim_that_was_seen_to_be_missing_or_anothers_is_written_later(
    repo: Path, memory: Memory, said: str | None, way: str
) -> None:
    check_step(repo, memory, "render")
    for claim in sorted(repo.glob("fleet/claims/*/*"))[::5]:
        if said is None:
            claim.unlink()
        else:
            write(repo, str(claim.relative_to(repo)), said)
        check_step(repo, memory, way)
        check_step(repo, memory, "render")
        check_step(repo, memory, "check")


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("way", ["validate", "render"])
def test_what_two_companies_must_share_is_judged_although_one_did_not_change(
    repo: Path, memory: Memory, way: str
) -> None:
    write(repo, "fleet/fleet.yaml", FLEET + "places:\n  - {name: north, boxes: 4}\n")
    write(repo, "fleet/companies/acme.yaml", "name: acme\nplace: north\n")
    adapter, serial = "adapter: {mac: 00:0b:82:00:00:01}\n", 'serial: "00000000aaaa"\n'
    write(repo, "fleet/boxes/acme/b0.yaml", make_box("acme", 0) + adapter + serial)
    check_step(repo, memory, "render")
    for text in (
        make_box("beta", 0) + "place: north\n",
        make_box("beta", 0) + adapter,
        make_box("beta", 0) + serial,
        make_box("acme", 1),
    ):
        write(repo, "fleet/boxes/beta/b0.yaml", text)
        check_step(repo, memory, way)
    write(repo, "fleet/companies/beta.yaml", "name: beta\nplace: north\n")
    write(repo, "fleet/boxes/beta/b0.yaml", make_box("beta", 0))
    assert isinstance(judge_cold(repo), tuple)
    check_step(repo, memory, way)


def test_a_file_changed_in_the_very_moment_after_is_noticed(repo: Path, memory: Memory) -> None:
    """Same size, same inode, perhaps the same tick of the clock: a stamp as young as that is not believed."""
    render_work_tree(repo, RITI, memory, write=True)
    for path in ("rendered/acme/b0/box/overlay.yml", "rendered/_fleet/manifest.json"):
        place = repo / path
        content = place.read_bytes()
        place.write_bytes(content.replace(b"e", b"f"))
        (change,) = render_work_tree(repo, RITI, memory, write=False)
        assert (change.path, change.kind) == (path, "changed")
        place.write_bytes(content)
    box = repo / "fleet/boxes/acme/b0.yaml"
    box.write_text(box.read_text().replace("Desk", "Disk"))
    assert any(change.path.endswith("pjsip.conf") for change in render_work_tree(repo, RITI, memory, False))


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("damage", ["truncated", "changed", "emptied", "another's", "a folder"])
def test_a_damaged_memory_is_none(repo: Path, memory: Memory, damage: str) -> None:
    render_work_tree(repo, RITI, memory, write=True)
    assert memory.recall() is not None and memory.place is not None
    content = memory.place.read_bytes()
    if damage == "a folder":
        memory.place.unlink()
        memory.place.mkdir()
    else:
        memory.place.write_bytes(
            {
                "truncated": content[:-20],
                "changed": content.replace(b"beta", b"bela"),
                "emptied": b"",
                "another's": content.replace(hash_code().encode(), b"0" * 40),
            }[damage]
        )
    assert memory.recall() is None
    append(repo / "rendered/beta/manifest.json", " ")
    assert [change.path for change in render_work_tree(repo, RITI, memory, True)] == [
        "rendered/beta/manifest.json"
    ]


def test_old_memories_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ritilib.gitops.memory.KEPT", 2)
    known = refresh.Remembered({}, {})
    for name in "abc":
        Memory(tmp_path / "memory", tmp_path / name).keep(known)
    assert len(list((tmp_path / "memory").iterdir())) == 2
    assert Memory(tmp_path / "memory", tmp_path / "c").recall() == known


@pytest.mark.usefixtures("aged")
def test_new_words_render_their_company_only(repo: Path, memory: Memory) -> None:
    menu = 'menus: [{number: "70", name: M, words: hello, choices: {"1": "100"}, else: "101"}]\n'
    write(repo, "fleet/companies/beta.yaml", f"name: beta\n{menu}")
    record(repo, "beta", 1)
    render_work_tree(repo, RITI, memory, write=True)
    record(repo, "beta", 2)
    changes = [change.path for change in render_work_tree(repo, RITI, memory, write=True)]
    boxes = [f"rendered/beta/b{number}/{place}" for number in range(3) for place in ("box/etc", "pbx/live")]
    assert changes == [*(f"{box}/words.txt" for box in boxes), "rendered/beta/manifest.json"]
    check_step(repo, memory, "check")
