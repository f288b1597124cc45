"""What is known of files by their stamps alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ritilib.gitops.bring import bring_folder, look_folder, settle_folder
from ritilib.gitops.stamps import SETTLED_NS, digest_stamps, list_stamps

LATER_NS = SETTLED_NS + 10**9


def make(root: Path) -> None:
    for path in ("a/x", "a/b/y", "a/b/z"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "a/link").symlink_to(root / "a/b")
    (root / "a/empty").mkdir()


def digest(root: Path) -> str:
    return digest_stamps(list_stamps(root, "a"), time.time_ns() + LATER_NS)


def test_all_but_folders_is_listed_and_no_link_followed(tmp_path: Path) -> None:
    make(tmp_path)
    assert [path for path, _ in list_stamps(tmp_path, "a")] == ["a/b/y", "a/b/z", "a/link", "a/x"]
    assert list_stamps(tmp_path, "nowhere") == []
    assert [path for path, _ in list_stamps(tmp_path, "a/x")] == ["a/x"]


@pytest.mark.parametrize("edit", ["longer", "replaced", "mode", "gone", "new", "renamed", "dated back"])
def test_every_edit_shows(tmp_path: Path, edit: str) -> None:
    make(tmp_path)
    before, place = digest(tmp_path), tmp_path / "a/b/y"
    if edit == "longer":
        place.write_text("longer than before")
    elif edit == "replaced":
        (tmp_path / "other").write_text("a/b/y")
        (tmp_path / "other").replace(place)
    elif edit == "mode":
        place.chmod(0o600)
    elif edit == "gone":
        place.unlink()
    elif edit == "new":
        (tmp_path / "a/n").write_text("")
    elif edit == "renamed":
        place.rename(place.with_name("x"))
    else:
        was = place.stat()
        place.write_text("A/B/Y!")
        os.utime(place, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert digest(tmp_path) not in ("", before)


def test_what_did_not_change_has_the_same_digest(tmp_path: Path) -> None:
    make(tmp_path)
    before = digest(tmp_path)
    (tmp_path / "a/x").read_text()
    assert digest(tmp_path) == before != ""


def test_a_young_file_has_no_digest(tmp_path: Path) -> None:
    make(tmp_path)
    seen_ns = max(stamp[3] for _, stamp in list_stamps(tmp_path, "a"))
    assert digest_stamps(list_stamps(tmp_path, "a"), seen_ns) == ""
    assert look_folder(tmp_path, "nowhere") == ""


def test_what_another_wrote_over_ours_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ritilib.gitops.stamps.SETTLED_NS", -(10**18))
    wanted = {"rendered/a/x": "x", "rendered/a/y": "y"}
    brought = bring_folder(tmp_path, "rendered/a", wanted, write=True)
    assert settle_folder(tmp_path, "rendered/a", brought) == look_folder(tmp_path, "rendered/a") != ""
    (tmp_path / "other").write_text("X")
    (tmp_path / "other").replace(tmp_path / "rendered/a/x")
    assert settle_folder(tmp_path, "rendered/a", brought) == ""
