"""Two pull requests at once: each pair merges cleanly and right, or meets in Git, or is refused with the mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ritilib.errors import GitopsError
from ritilib.gitops.forge import merge
from tests.unit.gitops.concurrent import (
    Desk,
    Landed,
    copy_fleet,
    git,
    judge,
    merge_plainly,
    say_box,
)

Edit = Callable[[Desk], None]


@dataclass(frozen=True)
class Pair:
    """Two changes and what becomes of them.

    plain: what Git's own merge does, "conflict", "right", or "held X" where it is clean and company X waits for a
    render. refused: part of what `riti propose --update` says where it cannot put them together, in either order.
    mend: the edit of whoever comes second, by the steps that are named then, after which it can.
    """

    ana: Edit
    bob: Edit
    plain: str
    refused: str = ""
    mend: Edit | None = None


def add_box(path: str, *numbers: str, **options: str) -> Edit:
    return lambda desk: desk.write(f"boxes/{path}.yaml", say_box(path.split("/")[1], *numbers, **options))


def add_phone(path: str, number: str, public: str = "") -> Edit:
    more = f'    public: "{public}"\n' if public else ""
    text = f'  - number: "{number}"\n    name: Phone {number}\n    phone: sip\n{more}'
    return lambda desk: desk.append(f"boxes/{path}.yaml", text)


def edit(path: str, old: str, new: str) -> Edit:
    return lambda desk: desk.edit(path, old, new)


def remove(path: str) -> Edit:
    return lambda desk: desk.remove(path)


def rename(old: str, new: str) -> Edit:
    def change(desk: Desk) -> None:
        desk.rename_company(old, new)
        desk.edit(f"companies/{new}.yaml", "name: ", "name: The new ")

    return change


def close(company: str, *boxes: str) -> Edit:
    def change(desk: Desk) -> None:
        desk.remove(f"companies/{company}.yaml")
        for box in boxes:
            desk.remove(f"boxes/{company}/{box}.yaml")

    return change


def open_company(company: str, box: str, number: str) -> Edit:
    def change(desk: Desk) -> None:
        desk.write(f"companies/{company}.yaml", f"name: {company}\n")
        desk.write(f"boxes/{company}/{box}.yaml", say_box(box, number))

    return change


def write(path: str, text: str) -> Edit:
    return lambda desk: desk.write(path, text)


NEW_IMAGE = edit("fleet.yaml", "riti/pbx:dev", "riti/pbx:next")
SALTO = "fleet/boxes/acme/salto.yaml"

PAIRS = {
    "two boxes of one company": Pair(
        add_box("acme/artigas", "501"), add_box("acme/durazno", "601"), "conflict"
    ),
    "one extension at two boxes": Pair(
        add_phone("acme/montevideo", "105"),
        add_phone("acme/salto", "105"),
        "conflict",
        "extension 105 is twice in company acme",
        edit("boxes/acme/montevideo.yaml", '"105"', '"106"'),
    ),
    "one extension at two new boxes": Pair(
        add_box("acme/artigas", "501"),
        add_box("acme/durazno", "501"),
        "conflict",
        "extension 501 is twice in company acme",
        edit("boxes/acme/artigas.yaml", '"501"', '"502"'),
    ),
    "one public number in two companies": Pair(
        add_phone("acme/salto", "202", "+59847331202"),
        add_phone("zorro/rivera", "303", "+59847331202"),
        "conflict",
        "public number +59847331202 is twice in the fleet",
        edit("boxes/acme/salto.yaml", "+59847331202", "+59847331203"),
    ),
    "one serial in two companies": Pair(
        edit("boxes/acme/montevideo.yaml", "extensions:", "serial: 10000000ffffffff\nextensions:"),
        edit("boxes/zorro/rivera.yaml", "extensions:", "serial: 10000000ffffffff\nextensions:"),
        "conflict",
        "serial 10000000ffffffff is twice in the fleet",
        edit("boxes/acme/montevideo.yaml", "ffffffff", "fffffffe"),
    ),
    "one overlay address for two companies": Pair(
        add_box("acme/artigas", "501"), add_box("zorro/durazno", "601"), "conflict"
    ),
    "a company renamed under a new box": Pair(
        rename("acme", "acme-sa"), add_box("acme/artigas", "501"), "conflict"
    ),
    "a company renamed under an edit of its box": Pair(
        rename("acme", "acme-sa"), edit("boxes/acme/salto.yaml", "Phone 201", "Taller"), "conflict"
    ),
    "a company renamed under an edit of its file": Pair(
        rename("acme", "acme-sa"), edit("companies/acme.yaml", 'to: "101"', 'to: "201"'), "conflict"
    ),
    "a box removed under an edit": Pair(
        remove("boxes/acme/salto.yaml"),
        edit("boxes/acme/salto.yaml", "Phone 201", "Taller"),
        "conflict",
        f"{SALTO}: ",
        write("boxes/acme/salto.yaml", say_box("Salto", "201")),
    ),
    "a route to an extension that goes": Pair(
        edit("companies/acme.yaml", 'to: "101"', 'to: "201"'),
        edit("boxes/acme/salto.yaml", "201", "209"),
        "conflict",
        "route 100 leads to 201, which is no extension, group, route or menu of acme",
        edit("companies/acme.yaml", 'to: "201"', 'to: "209"'),
    ),
    "the same line of one file": Pair(
        edit("boxes/acme/salto.yaml", "Phone 201", "Taller"),
        edit("boxes/acme/salto.yaml", "Phone 201", "Depósito"),
        "conflict",
        f"{SALTO}:5: main and",
        write("boxes/acme/salto.yaml", say_box("Salto", "201").replace("Phone 201", "Taller y depósito")),
    ),
    "different lines of one file": Pair(
        edit("boxes/acme/montevideo.yaml", "Phone 101", "Recepción"),
        edit("boxes/acme/montevideo.yaml", "Phone 102", "Taller"),
        "conflict",
    ),
    "two companies": Pair(
        edit("boxes/acme/salto.yaml", "Phone 201", "Taller"), add_phone("zorro/rivera", "303"), "right"
    ),
    "two companies, one with a new box": Pair(
        add_box("acme/artigas", "501"), remove("boxes/zorro/rivera.yaml"), "right"
    ),
    "an image and a box": Pair(NEW_IMAGE, add_box("acme/artigas", "501"), "conflict"),
    "an image and a company": Pair(NEW_IMAGE, open_company("yaro", "tala", "701"), "held yaro"),
    "an image and a company that leaves": Pair(NEW_IMAGE, close("nandu", "minas"), "conflict"),
    "two companies leave": Pair(close("zorro", "paysandu", "rivera"), close("nandu", "minas"), "conflict"),
    "a company leaves under a new box": Pair(
        close("nandu", "minas"),
        add_box("nandu/tala", "402"),
        "conflict",
        "fleet/boxes/nandu/tala.yaml:1: a box of an unknown company `nandu`",
        remove("boxes/nandu/tala.yaml"),
    ),
    "one company opened by both": Pair(
        open_company("yaro", "tala", "701"),
        open_company("yaro", "toledo", "702"),
        "conflict",
    ),
}


@pytest.fixture(scope="module")
def proposals() -> dict[str, Path]:
    """title → the fleet with both changes proposed, kept for the tests of the same pair."""
    return {}


@pytest.fixture
def desks(
    small_fleet: Path, proposals: dict[str, Path], title: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Desk, Desk]:
    """(forge, Ana's desk, Bob's desk), with the pair's changes proposed as branches `ana` and `bob`."""
    if title not in proposals:
        _, ana, bob = copy_fleet(small_fleet, tmp_path_factory.mktemp("pair") / "proposed")
        PAIRS[title].ana(ana)
        PAIRS[title].bob(bob)
        ana.propose("ana")
        bob.propose("bob")
        proposals[title] = ana.folder.parent
    return copy_fleet(proposals[title], tmp_path_factory.mktemp("pair") / "copy")


def name(landed: Landed) -> str:
    if landed.refused:
        return f"refused: {landed.refused}"
    return "right" if landed.right else f"held {' '.join(landed.held)}"


@pytest.mark.parametrize("title", PAIRS)
def test_gits_own_merge(desks: tuple[Path, Desk, Desk], title: str) -> None:
    """Without the rule of up-to-date branches: what lands is right, or Git said no, or sync holds it."""
    forge, _, _ = desks
    for order in (("ana", "bob"), ("bob", "ana")):
        merged, conflicts = merge_plainly(forge, *order)
        landed = judge(merged, "main")
        assert ("conflict" if conflicts else name(landed)) == PAIRS[title].plain, conflicts


@pytest.mark.parametrize("title", PAIRS)
@pytest.mark.parametrize("first", ["ana", "bob"])
def test_the_forges_merge_after_an_update(desks: tuple[Path, Desk, Desk], title: str, first: str) -> None:
    """The second is refused until it is put on the new main; then both are in, and everything is right."""
    pair = PAIRS[title]
    forge, ana, bob = desks
    second, desk = ("bob", bob) if first == "ana" else ("ana", ana)
    merge(forge, first)
    with pytest.raises(GitopsError, match="not up to date") as caught:
        merge(forge, second)
    assert f"riti propose --update --branch {second}" in str(caught.value)
    if pair.refused:
        before = snapshot(forge, desk)
        with pytest.raises(GitopsError) as refused:
            desk.update()
        assert pair.refused in str(refused.value)
        assert f"git switch {second}; git merge --no-commit origin/main" in str(refused.value)
        assert snapshot(forge, desk) == before, "a refusal changed something"
        assert pair.mend is not None
        desk.mend(second, pair.mend)
    updated = desk.update(second if pair.refused else None)
    assert git(desk.folder, "rev-list", "--count", f"{updated.base}..{updated.commit}") == "1"
    merge(forge, second)
    assert judge(forge, "main").right


def snapshot(forge: Path, desk: Desk) -> tuple[str, ...]:
    """All that a refused update must leave alone."""
    return (
        git(forge, "for-each-ref"),
        git(desk.folder, "for-each-ref", "refs/heads"),
        git(desk.folder, "status", "--porcelain"),
        git(desk.folder, "diff"),
    )
