"""The controller's mirror on a disk that is full: an error, the last good commit, and nothing half."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritilib.errors import GitopsError
from ritilib.gitops.forge import create_forge
from ritilib.gitops.layout import init_repository
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.objects import read_files
from ritilib.gitops.remote import Remote
from tests.integration.fleets import keep_silent, know_author
from tests.integration.small_disk import hold_small_disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with hold_small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    """A new fleet, pushed; its clone is beside it, in `work`."""
    create_forge(tmp_path / "forge.git")
    with know_author():
        init_repository(tmp_path / "work", "lab", str(tmp_path / "forge.git"), keep_silent)
    return tmp_path / "forge.git"


def push_noise(work: Path, size: int) -> None:
    """A merge of this many bytes that no compression makes smaller."""
    (work / "noise").write_bytes(os.urandom(size))
    with know_author():
        for words in (("add", "noise"), ("commit", "-q", "-m", "noise"), ("push", "-q", "origin", "main")):
            subprocess.run(["git", *words], cwd=work, check=True)


def test_a_fetch_that_does_not_fit_leaves_the_last_good(
    small_disk: Path, forge: Path, tmp_path: Path
) -> None:
    mirror = Mirror(small_disk / "state", Remote(str(forge)))
    good = mirror.fetch()
    push_noise(tmp_path / "work", 8 << 20)
    for _ in range(2):
        with pytest.raises(GitopsError, match="make room"):
            mirror.fetch()
        assert mirror.last == good
        assert "fleet/fleet.yaml" in read_files(mirror.repo, good.commit, "fleet")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert mirror.fetch().commit != good.commit
    assert mirror.heal() is False


def test_a_note_that_cannot_be_written_leaves_the_last_good(
    small_disk: Path, forge: Path, tmp_path: Path
) -> None:
    mirror = Mirror(small_disk / "state", Remote(str(forge)))
    good = mirror.fetch()
    push_noise(tmp_path / "work", 10)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (1 << 20, 1 << 12):
            while has_room(file, block):
                pass
    with pytest.raises(GitopsError):
        mirror.fetch()
    assert mirror.last == good
    filler.unlink()
    assert mirror.fetch().commit != good.commit
    assert {path.name for path in mirror.repo.parent.iterdir()} == {"mirror.git", "accepted.json", "lock"}


def test_a_first_fetch_that_does_not_fit_leaves_nothing(
    small_disk: Path, forge: Path, tmp_path: Path
) -> None:
    push_noise(tmp_path / "work", 8 << 20)
    mirror = Mirror(small_disk / "state", Remote(str(forge)))
    with pytest.raises(GitopsError, match="make room"):
        mirror.fetch()
    assert {path.name for path in mirror.repo.parent.iterdir()} == {"lock"}


def has_room(file, size: int) -> bool:
    """Whether so many bytes still fit, by writing them."""
    try:
        return file.write(bytes(size)) == size
    except OSError:
        return False
