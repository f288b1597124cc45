"""Each thing that a cut must not do to a card is found, by its kind; a card that lost nothing that counts is fine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from boxos.crash_check import BRICK, DATA_LOST, IDENTITY, SLOT, Expected, Seen, Wrong, find_wrongs
from boxos.crash_data import read_data
from boxos.crash_states import State
from boxos.crashes import tell
from boxos.disk import make_data
from boxos.layout import BOOT_A, BOOT_B, ROOT_A, ROOT_B
from boxos.programs import run
from onbox.selection import write_selection
from onbox.slots import Record

KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
FILES = {
    "machine-id": b"0" * 32 + b"\n",
    "riti/identity.key": KEY,
    "card/claim.jwt": b"claim\n",
    "rauc/slots.json": Record(to_try="").encode().encode(),
}
IDENTITY_FILES = {name: FILES[name] for name in ("machine-id", "riti/identity.key", "card/claim.jwt")}
WHOLE = dict.fromkeys((BOOT_A, BOOT_B, ROOT_A, ROOT_B), 0)
ONE_SLOT = {**WHOLE, BOOT_B: 9, ROOT_B: 9}
ON_A = Seen(BOOT_A, "", write_selection(BOOT_A), "a" * 64, ONE_SLOT, FILES, ())
ON_B = replace(ON_A, chosen=BOOT_B, selection=write_selection(BOOT_B), broken=WHOLE)
EXPECTED = Expected(IDENTITY_FILES, "a" * 64)
SAID = frozenset({"identity"})


def kinds(seen: Seen, said: frozenset[str] = SAID, before: Seen = ON_A, after: Seen = ON_A) -> set[str]:
    return {wrong.kind for wrong in find_wrongs(seen, before, after, said, EXPECTED)}


def without(name: str) -> Mapping[str, bytes]:
    return {one: content for one, content in FILES.items() if one != name}


def test_a_card_that_lost_nothing_that_counts_is_fine() -> None:
    assert kinds(ON_A) == set()
    assert kinds(ON_B, after=ON_B) == set() == kinds(ON_A, after=ON_B)


@pytest.mark.parametrize("number", [BOOT_A, ROOT_A])
def test_the_slot_that_is_taken_must_be_whole(number: int) -> None:
    assert kinds(replace(ON_A, broken={**ONE_SLOT, number: 1})) == {BRICK}


def test_a_card_without_a_slot_or_a_data_partition_is_a_brick() -> None:
    assert kinds(replace(ON_A, chosen=0, brick="autoboot.txt names no boot partition")) == {BRICK}
    assert kinds(replace(ON_A, files={}, damage=("the data partition is not mounted",))) == {BRICK}


def test_autoboot_is_the_old_or_the_new_one_and_nothing_else() -> None:
    mixed = replace(ON_A, selection=write_selection(BOOT_A).replace(b"[all]", b"[al\0]"))
    assert kinds(mixed) == {SLOT}
    # whole, and neither before nor after
    assert kinds(ON_B, after=ON_A) == {SLOT}


def test_a_kernel_that_is_told_of_another_root_is_a_wrong_slot() -> None:
    assert kinds(replace(ON_A, root_hash="b" * 64)) == {SLOT}


def test_what_the_box_said_of_its_slots_holds_from_then_on() -> None:
    assert kinds(ON_A, SAID | {"committed"}, after=ON_B) == {SLOT}
    assert kinds(ON_A, SAID | {"installed"}) == {SLOT}
    assert kinds(replace(ON_A, broken=WHOLE), SAID | {"installed"}) == set()


def test_a_record_that_wants_a_slot_tried_that_is_not_whole_is_found() -> None:
    seen = replace(ON_A, files={**FILES, "rauc/slots.json": Record(to_try="B").encode().encode()})
    assert kinds(seen, after=seen) == {SLOT}
    whole = replace(seen, broken=WHOLE)
    assert kinds(whole, after=whole) == set()


@pytest.mark.parametrize("name", sorted(IDENTITY_FILES))
def test_who_the_box_is_stays(name: str) -> None:
    gone = replace(ON_A, files=without(name))
    assert IDENTITY in kinds(gone)
    # not yet shown, and not yet there: nobody knew it
    assert kinds(gone, frozenset(), before=gone) == set()
    other = replace(ON_A, files={**FILES, name: FILES[name].replace(b"0", b"1").replace(b"A", b"B") + b"x"})
    assert IDENTITY in kinds(other, frozenset(), before=other, after=other)


def test_a_name_that_came_before_its_content_is_found() -> None:
    early = replace(ON_A, files={**FILES, "riti/generation.json": b""})
    assert kinds(early, before=early, after=early) == {DATA_LOST}


def test_a_record_is_the_old_or_the_new_one() -> None:
    new = replace(ON_A, files={**FILES, "rauc/slots.json": json.dumps({"to_try": "", "marks": {}}).encode()})
    assert kinds(ON_A, before=ON_A, after=new) == set() == kinds(new, before=ON_A, after=new)
    assert kinds(replace(ON_A, files=without("rauc/slots.json")), after=new) == {DATA_LOST}
    assert kinds(ON_A, before=new, after=new) == {DATA_LOST}


def test_what_is_wrong_is_told_with_what_brings_it_about_again() -> None:
    state = State(41, "install", "riti-root-b", 5, 9, ())
    error = tell([(state, Wrong(BRICK, "it does not start")), (state, Wrong(SLOT, "slot B"))], 7)
    assert "state 41 (install, riti-root-b, flushed 5, cut 9): bricks: it does not start" in str(error)
    assert "1 bricks, 1 wrong slots" in str(error) and "--seed 7 --only NUMBER" in str(error)


# e2fsprogs are in every Debian: the rest of what makes an image is not needed
def test_a_file_system_is_checked_and_read_without_mounting_it(tmp_path: Path) -> None:
    """On a card, behind something else. A superblock of which a cut left the half is no reason not to start."""
    data, card, at = tmp_path / "ext4", tmp_path / "card", 8192
    make_data(
        data,
        "0" * 8 + "-0000-8000-8000-" + "0" * 12,
        "1" * 8 + "-0000-8000-8000-" + "0" * 12,
        16,
        1_790_000_000,
    )
    (tmp_path / "id").write_bytes(FILES["machine-id"])
    run(["debugfs", "-w", "-R", f"write {tmp_path / 'id'} machine-id", data])
    content = data.read_bytes()
    card.write_bytes(bytes(at) + content + bytes(4096))
    files, wrongs = read_data(card, (at, len(content)), tmp_path)
    assert (files, wrongs) == ({"machine-id": FILES["machine-id"]}, [])
    torn = bytearray(card.read_bytes())
    torn[at + 1536 : at + 2048] = bytes(512)
    card.write_bytes(torn)
    assert read_data(card, (at, len(content)), tmp_path) == (files, [])
    # the inodes' table is lost
    torn[at + 4 * 4096 : at + len(content) // 2] = bytes(len(content) // 2 - 4 * 4096)
    card.write_bytes(torn)
    assert read_data(card, (at, len(content)), tmp_path)[1] != []
