"""Which slot is committed, which one is to be tried, and what RAUC is told: decisions, as values.

A slot is installed, tried once by the firmware's one-shot flag, and committed only by what ran in it. Whatever breaks
before that, the firmware takes the committed one at the next start, without anybody's help.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from onbox.selection import SLOTS

Health = Literal["good", "bad", "tried"]
OTHER = {"A": "B", "B": "A"}


class Refused(Exception):
    """What was asked for cannot be done; its text says why."""


@dataclass(frozen=True)
class Record:
    """What the box keeps of its slots: to_try is the one that the next restart tries, wanted what it must reach (see
    health), marks what is known of each."""

    to_try: str = ""
    marks: Mapping[str, Health] | None = None
    wanted: Mapping[str, Any] | None = None

    def encode(self) -> str:
        said = {"to_try": self.to_try, "marks": dict(self.marks or {}), "wanted": dict(self.wanted or {})}
        return json.dumps(said, sort_keys=True, indent=2) + "\n"


@dataclass(frozen=True)
class Slots:
    """committed and booted are "A" or "B"; is_try: the firmware took booted for a single try."""

    committed: str
    booted: str
    is_try: bool
    record: Record

    @property
    def is_unproved(self) -> bool:
        """Whether what runs has yet to show that it works."""
        return self.booted != self.committed


@dataclass(frozen=True)
class Decision:
    """commit: the slot whose sector is written first, "" where none; record: what is kept then."""

    commit: str
    record: Record


def read_record(text: str) -> Record:
    """The kept record. One that is damaged counts as none: the committed slot is the sector's, never the record's."""
    try:
        said = json.loads(text)
        marks = {slot: health for slot, health in said["marks"].items() if slot in SLOTS}
        to_try = said["to_try"] if said["to_try"] in SLOTS else ""
        return Record(to_try, marks, dict(said["wanted"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Record()


def find_primary(slots: Slots) -> str:
    """The slot that the next restart takes."""
    return slots.record.to_try or slots.committed


def find_state(slots: Slots, slot: str) -> Literal["good", "bad"]:
    """What RAUC is told of a slot. The committed one is good whatever the marks say: one that a cut left behind must
    not make RAUC refuse the only slot that works."""
    _check(slot)
    if slot == slots.committed:
        return "good"
    return "good" if (slots.record.marks or {}).get(slot) == "good" else "bad"


def set_primary(slots: Slots, slot: str) -> Decision:
    """The committed one: nothing is tried. Another one: it is tried, and the sector stays."""
    _check(slot)
    to_try = "" if slot == slots.committed else slot
    if to_try == slots.booted:
        # it runs already, as a try; to try it once more proves nothing
        to_try = ""
    return Decision("", replace(slots.record, to_try=to_try))


def set_state(slots: Slots, slot: str, health: str) -> Decision:
    """What runs and is found good is committed. Refused where health is neither good nor bad."""
    _check(slot)
    record = slots.record
    if health == "good":
        marked = replace(record, marks={**(record.marks or {}), slot: "good"})
        if slot == slots.booted and slots.is_unproved:
            return Decision(slot, replace(marked, to_try="", wanted={}))
        return Decision("", marked)
    if health == "bad":
        to_try = "" if record.to_try == slot else record.to_try
        return Decision("", replace(record, to_try=to_try, marks={**(record.marks or {}), slot: "bad"}))
    raise Refused(f"{health} is neither good nor bad")


def begin_try(slots: Slots, wanted: Mapping[str, Any]) -> tuple[bool, Record]:
    """Whether the next restart is a try, and what is kept before it.

    The record forgets the wish first: a slot that fails is not tried again by itself, for ever.
    """
    slot = slots.record.to_try
    if not slot or slot == slots.booted:
        return False, replace(slots.record, to_try="")
    marks = {**(slots.record.marks or {}), slot: "tried"}
    return True, Record("", marks, dict(wanted))


def _check(slot: str) -> None:
    if slot not in SLOTS:
        raise Refused(f"there is no slot {slot}")
