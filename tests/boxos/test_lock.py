"""The lock: what it holds is what is built, in whatever order it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxos.lock import compare, read_lock, read_uris, write_lock
from ritilib.errors import RitiError
from tests.boxos.values import make_lock, make_package

A, B = make_package("asterisk"), make_package("bash", sha256="c" * 64)


def test_it_is_read_as_it_was_written_and_sorted(tmp_path: Path) -> None:
    file = tmp_path / "forky-arm64.json"
    file.write_text(write_lock(make_lock(B, A)))
    assert read_lock(file) == make_lock(A, B)
    assert write_lock(make_lock(B, A)) == write_lock(make_lock(A, B))


def test_its_digest_is_of_every_package_and_of_the_flavour_that_is_built() -> None:
    base = make_lock(A, B)
    assert base.digest("debian") == make_lock(A, B).digest("debian")
    others = [
        make_lock(A),
        make_lock(A, make_package("bash", sha256="d" * 64)),
        make_lock(A, B, kernel="e" * 64),
        base.model_copy(update={"epoch": 1}),
    ]
    assert len({base.digest("debian"), *(one.digest("debian") for one in others)}) == len(others) + 1


def test_a_flavour_that_was_not_locked_is_refused() -> None:
    with pytest.raises(RitiError, match="no kernel of flavour raspios"):
        make_lock().digest("raspios")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"sha256": "aaaa', '"sha256": "AAAA'),
        ('"file": "pool/', '"file": "../pool/'),
        ('"file": "pool/', '"file": "pool/../../'),
        ('"size": 7', '"size": 0'),
        ('"suite": "forky"', '"suite": "forky", "more": 1'),
        ('"name": "bash"', '"name": "asterisk"'),
    ],
)
def test_one_that_was_damaged_is_refused_with_its_name(before: str, after: str, tmp_path: Path) -> None:
    text = write_lock(make_lock(A, B))
    assert before in text
    (tmp_path / "x.json").write_text(text.replace(before, after))
    with pytest.raises(RitiError, match=r"^x\.json: "):
        read_lock(tmp_path / "x.json")


def test_one_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(RitiError, match=r"x\.json is not there; resolve it anew: python -m boxos lock"):
        read_lock(tmp_path / "x.json")


def test_what_changes_between_two_is_told() -> None:
    newer = make_package("bash", "2.0-1")
    change = compare(make_lock(A, B), make_lock(newer, make_package("chrony")))
    assert change.added == {"chrony": "1.0-1"} and change.removed == {"asterisk": "1.0-1"}
    assert change.changed == {"bash": ("1.0-1", "2.0-1")}


def test_uris_are_taken_below_the_mirror_only() -> None:
    said = (
        "Reading…\n'http://m.example/debian/pool/main/b/bash_5%3a1_arm64.deb' bash_5%3a1_arm64.deb 12 MD5Sum:0\n"
        "'http://else.example/pool/x_1_arm64.deb' x_1_arm64.deb 12 MD5Sum:0\n"
    )
    assert read_uris(said, "http://m.example/debian/") == {
        "bash_5%3a1_arm64.deb": "pool/main/b/bash_5%3a1_arm64.deb"
    }
