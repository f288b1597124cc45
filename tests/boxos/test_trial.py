"""How starts and updates in QEMU are judged, and what they are served."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from boxos.lab import make_claim
from boxos.power import find_changes, share_out
from boxos.serve import Served, find_span, serve
from boxos.trial import Said, find_wrongs, read_said
from boxos.update import REFUSALS, find_refusal, name_versions
from ritilib.enroll.card import read_card
from ritilib.errors import RitiError

LINE = (
    "RITI riti-box-virt 0.1.0: started; slot=A/B verified=yes written=no data=245 "
    "id=0123456789abcdef0123456789abcdef failed=none\n"
)


def test_a_start_is_read_and_judged() -> None:
    said = read_said(f"noise\n{LINE}more\n")
    assert said == Said("riti-box-virt", "0.1.0", "A/B", "yes", "no", "245", "0123456789abcdef" * 2, "none")
    assert find_wrongs(said) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"verified": "no"},
        {"written": "yes"},
        {"data": "no"},
        {"data": "15"},
        {"id": "uninitialized"},
        {"failed": "a.service b.service"},
    ],
)
def test_each_thing_that_is_wrong_is_said(changed: dict[str, str]) -> None:
    assert len(find_wrongs(replace(read_said(LINE), **changed))) == 1


def test_a_start_that_does_not_say_how_it_ended_is_none() -> None:
    for console in ("", "RITI x 1: started; slot=A/A failed=none\n"):
        with pytest.raises(RitiError):
            read_said(console)


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_a_bundle_is_refused_for_its_own_reason_only(name: str) -> None:
    right = f"LastError: Failed {REFUSALS[name][0]} mismatch"
    assert find_refusal(name, 1, right) == ""
    assert "was installed" in find_refusal(name, 0, right)
    assert "another reason" in find_refusal(name, 1, "no space left")


def test_a_number_or_key_that_changes_is_told() -> None:
    assert find_changes([("a", "k"), ("a", "k")]) == []
    assert find_changes([("a", "k"), ("b", "k")]) == ["the machine had 2 numbers"]
    assert find_changes([("a", "k"), ("a", "l")]) == ["the box had 2 keys: k, l"]
    assert len(find_changes([("a", "")])) == 1


def test_cuts_are_shared_out_to_starts_installations_and_tries() -> None:
    assert share_out(1) == (1, 0, 0) and share_out(5) == (3, 1, 1) and share_out(50) == (18, 16, 16)
    assert all(sum(share_out(cuts)) == cuts for cuts in range(1, 60))


def test_versions_around_one() -> None:
    assert name_versions("1.2.9").newer == "1.2.10" and name_versions("1.2.3-rc.1").newer == "1.2.4"


def test_the_laboratorys_claim_is_one_that_a_box_reads(tmp_path: Path) -> None:
    make_claim(tmp_path / "card", 1790000000)
    join, claim = read_card(
        (tmp_path / "card/join.json").read_bytes(), (tmp_path / "card/claim.jwt").read_text()
    )
    assert join.unit == "acme/salto" and claim.exp == 1790086400
    assert sorted(path.name for path in (tmp_path / "card").iterdir()) == [
        "claim.jwt",
        "join.json",
    ]


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        (None, (0, 9)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-", (2, 9)),
        ("bytes=2-99", (2, 9)),
        ("lines=1", (0, 9)),
    ],
)
def test_ranges(asked: str | None, span: tuple[int, int]) -> None:
    assert find_span(asked, 9) == span


def test_a_variant_is_served_without_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(bytes(range(100)) * 30_000)
    size = file.stat().st_size
    one = Served(file, size, b"tail", {1: 200, 1_500_000: 201})
    whole = bytearray(file.read_bytes() + b"tail")
    whole[1], whole[1_500_000] = 200, 201
    for start, end in (
        (0, one.length),
        (1, 2),
        (size - 3, size + 2),
        (size + 1, size + 4),
        (1_499_990, 1_500_010),
    ):
        assert b"".join(one.read(start, end)) == whole[start:end]


def test_the_guests_way_leads_to_what_is_served(tmp_path: Path) -> None:
    """By the very program that QEMU starts for a connection, with HTTP spoken over its pipes."""
    (tmp_path / "payload").write_bytes(b"0123456789")
    with serve({"x": Served(tmp_path / "payload", 10, b"tail")}) as cables:
        relay = cables.words[1].rpartition("cmd:")[2].split()
        assert "restrict=on" in cables.words[1] and relay[0] == sys.executable
        with urllib.request.urlopen(f"http://127.0.0.1:{relay[-1]}/x", timeout=10) as answer:
            assert answer.read() == b"0123456789tail"
        asked = b"GET /x HTTP/1.1\r\nHost: g\r\nRange: bytes=8-11\r\nConnection: close\r\n\r\n"
        with subprocess.Popen(relay, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as carried:
            assert carried.stdin and carried.stdout
            carried.stdin.write(asked)
            carried.stdin.flush()
            said = carried.stdout.read()
    assert said.startswith(b"HTTP/1.1 206") and said.endswith(b"\r\n\r\n89ta")
