"""Nebula's folder on a box: the block list in its configuration, and files that are written only where they differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ritilib.box.kept import Trust
from ritilib.box.overlay import (
    choose_authorities,
    keep_overlay,
    understand_blocked,
    understand_trust,
    write_blocked,
)
from ritilib.errors import GitopsError
from tests.golden.update import render_case

ONE, OTHER = "1" * 64, "ab" * 32


def test_the_list_is_part_of_the_rendered_configuration() -> None:
    rendered = render_case("two-companies")["rendered/acme/montevideo/box/overlay.yml"]
    read = YAML(typ="safe")
    before, after = read.load(rendered), read.load(write_blocked(rendered, (ONE, OTHER)))
    assert after["pki"].pop("blocklist") == [ONE, OTHER]
    assert after == before
    assert write_blocked(rendered, ()) == rendered


@pytest.mark.parametrize("overlay", ["", "pki: {}\n", "tun:\n  pki:\n", "pki:\n  a: 1\npki:\n  b: 1\n"])
def test_what_has_no_place_for_it_is_refused(overlay: str) -> None:
    with pytest.raises(GitopsError, match="nobody could be blocked"):
        write_blocked(overlay, (ONE,))


def test_the_value_is_a_list_of_fingerprints() -> None:
    assert understand_blocked(f'["{OTHER}", "{ONE}", "{ONE}"]'.encode()) == (ONE, OTHER)
    assert understand_blocked(b"[]") == ()


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[7]", b'["x"]', b'["' + ONE.encode(), b'"' + ONE.encode() + b'"']
)
def test_what_is_no_list_changes_nothing(value: bytes) -> None:
    with pytest.raises(GitopsError):
        understand_blocked(value)


def test_only_what_differs_is_written_and_the_configuration_last(tmp_path: Path) -> None:
    folder = tmp_path / "overlay"
    files = {"overlay.yml": "pki:\n", "host.crt": "crt", "host.key": "key", "ca.crt": "ca"}
    assert keep_overlay(folder, files, os.getgid()) == ("ca.crt", "host.crt", "host.key", "overlay.yml")
    assert keep_overlay(folder, files, os.getgid()) == ()
    assert keep_overlay(folder, files | {"host.crt": "renewed"}, os.getgid()) == ("host.crt",)
    assert (folder / "host.crt").read_text() == "renewed"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}
    assert folder.stat().st_mode & 0o777 == 0o750


SAID = {"ca": "-----BEGIN NEBULA CERTIFICATE-----", "edition": 3, "authority": 2, "renew_from": ""}


def test_the_newer_word_of_authorities_counts() -> None:
    assert understand_trust({"iax": {}}) is None
    trust = understand_trust({"overlay": SAID})
    assert trust == Trust(**SAID)
    assert choose_authorities("the reply's", 2, trust) == (trust.ca, 3)
    # a box that was let in after its document was written
    assert choose_authorities("the reply's", 3, trust) == ("the reply's", 3)
    assert choose_authorities("the reply's", 1, Trust()) == ("the reply's", 1)


@pytest.mark.parametrize("wrong", [{"ca": ""}, {"edition": "many"}, {"renew_from": "soon"}, {"ca": None}])
def test_authorities_that_cannot_be_understood_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(GitopsError):
        understand_trust({"overlay": SAID | wrong})
