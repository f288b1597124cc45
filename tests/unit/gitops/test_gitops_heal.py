"""A mirror whose files were damaged or lost is made again, and forgets nothing that was refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ritilib.errors import HistoryRefused, Unreachable
from ritilib.gitops.desired import read_desired
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote
from tests.unit.gitops.mirroring import list_places, push_change, rewrite


def spoil_pack(repo: Path) -> None:
    (pack,) = repo.glob("objects/pack/*.pack")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(content)


def lose_pack(repo: Path) -> None:
    for path in repo.glob("objects/pack/*"):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        spoil_pack,
        lose_pack,
        shutil.rmtree,
        lambda repo: (repo / "HEAD").unlink(),
        lambda repo: (repo / "HEAD").write_bytes(b"\0" * 20),
        lambda repo: shutil.rmtree(repo / "objects"),
        lambda repo: shutil.rmtree(repo / "refs"),
        lambda repo: (repo / "config").write_text("[core\n"),
    ],
    ids=["spoilt", "lost", "deleted", "no-head", "head-of-zeros", "no-objects", "no-refs", "config"],
)
@pytest.mark.parametrize("moved", [False, True], ids=["same-tip", "new-tip"])
def test_a_damaged_mirror_is_made_again(mirror: Mirror, clone, damage, moved: bool) -> None:
    good = mirror.fetch()
    damage(mirror.repo)
    commit = push_change(clone) if moved else good.commit
    if not moved:
        mirror.heal()
    assert mirror.fetch().commit == commit
    if damage is spoil_pack and moved:
        mirror.heal()  # a fetch need not read the damaged object; whoever reads the commit does
    assert mirror.heal() is False
    assert len(read_desired(mirror.repo, commit).units) == 4
    assert list_places(mirror.repo.parent) == {"mirror.git", "accepted.json", "lock"}


def test_a_damaged_mirror_of_a_rewritten_branch_stays_refused(mirror: Mirror, clone) -> None:
    mirror.fetch()
    rewrite(clone)
    lose_pack(mirror.repo)
    with pytest.raises(HistoryRefused):
        mirror.fetch()
    assert mirror.last is None


def test_a_damaged_mirror_of_a_remote_that_is_gone_is_left_as_it_is(
    mirror: Mirror, forge: Path, tmp_path
) -> None:
    mirror.fetch()
    spoil_pack(mirror.repo)
    before = list_places(mirror.repo.parent)
    forge.rename(tmp_path / "elsewhere")
    with pytest.raises(Unreachable):
        mirror.heal()
    assert list_places(mirror.repo.parent) == before


def test_a_damaged_mirror_inside_a_checkout_is_not_taken_for_it(clone, pushed, forge: Path) -> None:
    mirror = Mirror(clone.folder / "state", Remote(str(forge)))
    mirror.fetch()
    (mirror.repo / "HEAD").unlink()
    before = clone.git("for-each-ref")
    assert mirror.last is None
    mirror.fetch()
    assert clone.git("for-each-ref") == before


def test_a_folder_that_was_deleted_is_made_again(mirror: Mirror) -> None:
    good = mirror.fetch()
    shutil.rmtree(mirror.repo.parent)
    assert mirror.fetch() == good


def test_what_a_killed_fetch_leaves_is_swept_away(mirror: Mirror, clone) -> None:
    mirror.fetch()
    remains = (
        "objects/pack/tmp_pack_x",
        "refs/heads/main.lock",
        "refs/riti/fetched.lock",
        "packed-refs.lock",
        "HEAD.lock",
    )
    for name in remains:
        (mirror.repo / name).write_bytes(b"half")
    (mirror.repo.parent / ".new-half").mkdir()
    commit = push_change(clone)
    assert mirror.fetch().commit == commit
    assert not any((mirror.repo / name).exists() for name in remains)
    assert list_places(mirror.repo.parent) == {"mirror.git", "accepted.json", "lock"}
