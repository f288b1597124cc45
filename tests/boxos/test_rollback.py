"""The faults by which a version is tried that does not work, and what counts as a way back."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from boxos.disk import assemble
from boxos.faults import add_drop_in, list_faults
from boxos.firmware import find_spans
from boxos.layout import BOOT_A, BOOT_B, ROOT_A, ROOT_B, Sizes, plan_disk
from boxos.programs import run
from boxos.rollback import Back, choose_faults, fill_other_slot, find_late
from boxos.verity import Verity, read_verity
from ritilib.errors import RitiError

VERITY = Verity(17000, "a" * 64, "b" * 64)
_LONGEST = 2048 - 512  # of an arm64 kernel's command line, less what a slot's own has


def test_there_is_one_of_each_kind_and_each_fits_into_a_command_line() -> None:
    faults = list_faults(VERITY)
    assert [one.name for one in faults] == ["wrong-hash", "panic", "hang", "agent-fails", "no-consul"]
    assert all(len(one.arguments) < _LONGEST and "\n" not in one.arguments for one in faults)


def test_the_wrong_hash_is_the_one_that_the_initrd_takes() -> None:
    """It reads the last word of that name, and the fault's stands behind the slot's own."""
    (wrong, *_) = list_faults(VERITY)
    script = (Path(__file__).parents[2] / "box-os/initrd/init").read_text()
    form = re.search(r"sed -n '(s/.*riti.*/p)'", script)
    assert form
    taken = run(["sed", "-n", form[1]], said=f"ro {VERITY.word()} {wrong.arguments}\n").strip()
    assert taken == f"{VERITY.data_blocks},{'0' * 64},{VERITY.salt}"
    assert read_verity(wrong.arguments).root_hash != VERITY.root_hash


def test_a_unit_goes_into_the_command_line_whole() -> None:
    word = add_drop_in("x.service", "[Service]\nExecStartPre=/usr/bin/false\n")
    name, content = word.removeprefix("systemd.set_credential_binary=").split(":")
    assert name == "systemd.unit-dropin.x.service"
    assert base64.b64decode(content) == b"[Service]\nExecStartPre=/usr/bin/false\n"


def test_faults_are_chosen_by_name() -> None:
    faults = list_faults(VERITY)
    assert choose_faults(faults, ()) == faults
    assert [one.name for one in choose_faults(faults, ("hang", "panic"))] == ["hang", "panic"]
    with pytest.raises(RitiError, match="there is no fault flood"):
        choose_faults(faults, ("flood",))


def test_what_is_late_is_told() -> None:
    assert find_late({"hang": Back(80.0, 60.0)}, 300) == []
    assert find_late({"hang": Back(301.0, 60.0)}, 300) == ["hang: given up after 301.0 s, not 300"]


def test_the_other_slot_gets_the_same_bytes(tmp_path: Path) -> None:
    layout = plan_disk("seed", Sizes(8, 64, 12, 16), 0, 0)
    contents = {}
    for number, byte in ((BOOT_A, b"b"), (ROOT_A, b"r")):
        contents[number] = tmp_path / str(number)
        contents[number].write_bytes(byte * 3_000_001)
    card = tmp_path / "card"
    assemble(layout, contents, card)
    fill_other_slot(card)
    spans = find_spans(run(["sfdisk", "--dump", card]))
    whole = card.read_bytes()
    for one, other in ((BOOT_A, BOOT_B), (ROOT_A, ROOT_B)):
        (start, size), (second, _) = spans[one], spans[other]
        assert whole[start : start + size] == whole[second : second + size]
