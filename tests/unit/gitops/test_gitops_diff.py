"""Comparing what is rendered with what should be, and writing the difference."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.errors import GitopsError
from ritilib.gitops.diff import Change, compare, read_rendered, read_rendered_tree, write_tree

WANTED = {
    "rendered/a/x.conf": "1\r\nñ\n",
    "rendered/a/b/y.conf": "",
    "fleet/claims/overlay/100.80.0.1": "a/x box\n",
}


def list_files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_each_kind_of_change_is_named_in_order() -> None:
    current = {"rendered/same": "", "rendered/old": "", "rendered/z": "1"}
    wanted = {"rendered/same": "", "rendered/new": "", "rendered/z": "2"}
    assert compare(current, wanted) == (
        Change("rendered/new", "added"),
        Change("rendered/old", "removed"),
        Change("rendered/z", "changed"),
    )


@given(current=st.dictionaries(st.text(), st.text()), wanted=st.dictionaries(st.text(), st.text()))
def test_carrying_out_the_changes_gives_what_is_wanted(
    current: dict[str, str], wanted: dict[str, str]
) -> None:
    made = dict(current)
    for change in compare(current, wanted):
        made.pop(change.path, None)
        if change.kind != "removed":
            made[change.path] = wanted[change.path]
    assert made == wanted and not compare(made, wanted)


def test_a_tree_is_written_byte_for_byte_and_only_once(tmp_path: Path) -> None:
    assert {change.kind for change in write_tree(tmp_path, WANTED)} == {"added"}
    assert list_files(tmp_path) == {path: text.encode() for path, text in WANTED.items()}
    stamps = {path: (tmp_path / path).stat().st_ino for path in WANTED}
    assert write_tree(tmp_path, WANTED) == ()
    assert stamps == {path: (tmp_path / path).stat().st_ino for path in WANTED}
    assert read_rendered_tree(tmp_path) == WANTED


def test_what_is_not_wanted_goes_with_its_empty_folders_and_nothing_else_does(tmp_path: Path) -> None:
    keep = {"fleet/claims/overlay/.gitkeep": b"", "fleet/boxes/a/x.yaml": b"x", "README.md": b"r"}
    stray = {
        "rendered/a/old/deep/z": b"",
        "rendered/.riti-x.tmp": b"",
        "fleet/claims/number/+59826001234": b"gone",
    }
    for path, body in (keep | stray).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(body)
    changes = write_tree(tmp_path, WANTED)
    assert {change.path for change in changes if change.kind == "removed"} == set(stray)
    assert list_files(tmp_path) == keep | {path: text.encode() for path, text in WANTED.items()}
    assert not (tmp_path / "rendered/a/old").exists()


def test_files_folders_and_links_give_way_to_one_another(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.conf").write_text("not mine")
    root = tmp_path / "root"
    (root / "rendered/a/x.conf").mkdir(parents=True)
    (root / "rendered/a/x.conf/inner").write_text("")
    (root / "rendered/a/b").write_text("a file where a folder belongs")
    (root / "rendered/link").symlink_to(outside)
    (root / "rendered/a/link.conf").symlink_to(outside / "x.conf")
    wanted = WANTED | {"rendered/link/x.conf": "mine", "rendered/a/link.conf": "mine"}
    write_tree(root, wanted)
    assert list_files(root) == {path: text.encode() for path, text in wanted.items()}
    assert (outside / "x.conf").read_text() == "not mine"


@pytest.mark.parametrize(
    "path", ["fleet/fleet.yaml", "rendered/../fleet/x", "/etc/passwd", "README.md", "rendered"]
)
def test_nothing_is_written_elsewhere(tmp_path: Path, path: str) -> None:
    with pytest.raises(GitopsError):
        write_tree(tmp_path, WANTED | {path: ""})
    assert list_files(tmp_path) == {}


def test_bytes_that_are_no_text_differ_from_any_text(tmp_path: Path) -> None:
    (tmp_path / "rendered/a").mkdir(parents=True)
    (tmp_path / "rendered/a/x.conf").write_bytes(b"\xff\xfe")
    assert Change("rendered/a/x.conf", "changed") in write_tree(tmp_path, WANTED)


def test_a_commit_is_read_as_it_was_written(clone) -> None:
    assert read_rendered(clone.folder, "HEAD") == read_rendered_tree(clone.folder)
    clone.write("rendered/acme/salto/pbx/job.nomad.hcl", "edited")
    assert [
        change.kind
        for change in compare(read_rendered(clone.folder, "HEAD"), read_rendered_tree(clone.folder))
    ] == ["changed"]
