"""Which slot is taken, tried and committed, and what a cut in between leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onbox.selection import (
    BOOT_A,
    BOOT_B,
    SECTOR,
    SLOTS,
    NoSelection,
    name_slot,
    read_selection,
    write_selection,
)
from onbox.slots import (
    Record,
    Refused,
    Slots,
    begin_try,
    find_primary,
    find_state,
    read_record,
    set_primary,
    set_state,
)

ON_A = Slots("A", "A", False, Record())


@pytest.mark.parametrize(("committed", "other"), [(BOOT_A, BOOT_B), (BOOT_B, BOOT_A)])
def test_a_try_takes_the_other_slot_once(committed: int, other: int) -> None:
    sector = write_selection(committed)
    assert read_selection(sector, is_try=False) == committed
    assert read_selection(sector, is_try=True) == other
    assert len(sector) == SECTOR
    assert (name_slot(committed), name_slot(other)) == (("A", "B") if committed == BOOT_A else ("B", "A"))


def test_a_selection_that_names_nothing_is_refused() -> None:
    with pytest.raises(NoSelection):
        read_selection(b"[tryboot]\nboot_partition=3\n", is_try=False)
    with pytest.raises(ValueError, match="partition 4 is no boot partition"):
        write_selection(4)
    with pytest.raises(ValueError, match="partition 5"):
        name_slot(5)


def test_what_lies_behind_the_firmwares_sector_does_not_count() -> None:
    assert read_selection(write_selection(BOOT_A) + b"\nboot_partition=3\n", is_try=False) == BOOT_A


class Box:
    """A box as its firmware, its sector and its record make it; each step can be cut off behind its first write."""

    def __init__(self) -> None:
        self.sector, self.kept, self.booted, self.is_try = write_selection(BOOT_A), "", "A", False

    @property
    def slots(self) -> Slots:
        committed = name_slot(read_selection(self.sector, is_try=False))
        return Slots(committed, self.booted, self.is_try, read_record(self.kept))

    def ask(self, verb: str, *words: str, cut: bool = False) -> str:
        if verb == "get-primary":
            return find_primary(self.slots)
        if verb == "get-state":
            return find_state(self.slots, *words)
        decision = set_primary(self.slots, *words) if verb == "set-primary" else set_state(self.slots, *words)
        if decision.commit:
            self.sector = write_selection(SLOTS[decision.commit])
            if cut:
                return ""
        self.kept = decision.record.encode()
        return ""

    def install(self, slot: str) -> None:
        """As RAUC does."""
        self.ask("set-state", slot, "bad")
        self.ask("set-primary", slot)

    def restart(self) -> None:
        is_try, record = begin_try(self.slots, {"agent": True})
        self.kept = record.encode()
        self.start(is_try)

    def start(self, is_try: bool = False) -> None:
        """Power on: what the firmware does; a power cut is this without a try."""
        self.booted, self.is_try = name_slot(read_selection(self.sector, is_try)), is_try


def test_an_update_is_tried_proved_and_committed() -> None:
    box = Box()
    assert (box.ask("get-primary"), box.ask("get-state", "A"), box.ask("get-state", "B")) == (
        "A",
        "good",
        "bad",
    )
    box.install("B")
    assert box.ask("get-primary") == "B" and box.slots.committed == "A"
    box.restart()
    assert (box.booted, box.slots.is_unproved, box.slots.record.wanted) == ("B", True, {"agent": True})
    box.ask("set-state", "B", "good")
    assert (box.slots.committed, box.slots.is_unproved, box.ask("get-primary")) == ("B", False, "B")
    box.start()
    assert box.booted == "B" and box.ask("get-state", "A") == "bad"


def test_one_that_fails_is_left_and_not_tried_again_by_itself() -> None:
    box = Box()
    box.install("B")
    box.restart()
    box.start()
    assert (box.booted, box.ask("get-primary"), box.ask("get-state", "B")) == ("A", "A", "bad")
    assert box.slots.record.marks == {"B": "tried"}
    box.restart()
    assert box.booted == "A"


@pytest.mark.parametrize("moment", ["installed", "tried", "committing", "committed"])
def test_a_cut_at_any_moment_leaves_a_slot_that_starts(moment: str) -> None:
    box = Box()
    box.install("B")
    if moment != "installed":
        box.restart()
    if moment in ("committing", "committed"):
        box.ask("set-state", "B", "good", cut=moment == "committing")
    box.start()
    expected = "B" if moment in ("committing", "committed") else "A"
    assert box.booted == expected
    # whatever the record says by now, what starts is good, and RAUC can install over the other one
    assert box.ask("get-state", expected) == "good" and not box.slots.is_unproved
    other = "A" if expected == "B" else "B"
    box.install(other)
    box.restart()
    assert box.booted == other


def test_taking_the_committed_one_again_forgets_the_try() -> None:
    box = Box()
    box.install("B")
    box.ask("set-primary", "A")
    box.restart()
    assert box.booted == "A"


def test_a_slot_that_is_tried_already_is_not_tried_anew() -> None:
    trying = Slots("A", "B", True, Record())
    assert set_primary(trying, "B").record.to_try == ""
    assert begin_try(replace(trying, record=Record("B")), {})[0] is False


def test_marking_what_does_not_run_commits_nothing() -> None:
    assert set_state(ON_A, "B", "good").commit == "" and set_state(ON_A, "A", "good").commit == ""


def test_questions_that_nobody_asks_are_refused() -> None:
    for verb in (
        lambda: find_state(ON_A, "C"),
        lambda: set_primary(ON_A, ""),
        lambda: set_state(ON_A, "A", "x"),
    ):
        with pytest.raises(Refused):
            verb()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"to_try": "B"}', '{"to_try": 1, "marks": [], "wanted": 0}']
)
def test_a_damaged_record_is_none(text: str) -> None:
    assert read_record(text) == Record()


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record("B", {"A": "good", "B": "tried"}, {"agent": True})
    assert read_record(record.encode()) == record
    assert read_record(record.encode().replace('"B"', '"C"')).to_try == ""
