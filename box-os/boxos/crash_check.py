"""What a card that was cut off must still be: one that starts, by a whole slot, and is the box that it was."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from boxos.boot_text import SELECTION_FILE
from boxos.crash_data import Files, find_changes, find_form_wrongs, find_lost, read_data
from boxos.crash_states import TABLE, Piece, Story
from boxos.crashed_card import CrashedCard
from boxos.firmware import choose, find_spans
from boxos.layout import BOOT_A, BOOT_B, DATA, LABELS, ROOT_A, ROOT_B, SELECTOR
from boxos.programs import run
from boxos.verity import read_verity
from onbox.selection import SLOTS, name_slot, write_selection
from onbox.slots import read_record
from ritilib.errors import RitiError

# the kinds of what can be wrong, as they are counted
BRICK, SLOT, IDENTITY, DATA_LOST = "bricks", "wrong slots", "changes of identity", "losses of data"
_READ_BY_FIRMWARE = frozenset((TABLE, LABELS[SELECTOR], LABELS[BOOT_A], LABELS[BOOT_B]))
_READ_BY_DATA = frozenset((TABLE, LABELS[DATA]))
_KEPT_LOOKS = 64
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Seen:
    """chosen: the boot partition that the firmware takes, 0 where it takes none (why: brick). root_hash: the one that
    its kernel is told. broken: partition → how many blocks are not the image's. damage: of the data partition."""

    chosen: int
    brick: str
    selection: bytes
    root_hash: str
    broken: Mapping[int, int]
    files: Files
    damage: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """Of a whole recording: who the box is, and the root that is known to be whole."""

    identity: Files
    root_hash: str


@dataclass(frozen=True)
class Wrong:
    kind: str
    text: str


def find_wrongs(
    seen: Seen, before: Seen, after: Seen, said: Collection[str], expected: Expected
) -> list[Wrong]:
    """before and after: the card at the last flush before the cut, and at the next one, with nothing lost. said: what
    the box had told by then (recording.Word's kinds)."""
    wrongs: list[Wrong] = []
    if not seen.chosen:
        wrongs.append(Wrong(BRICK, f"it does not start: {seen.brick}"))
    else:
        wrongs += _find_slot_wrongs(seen, before, after, said, expected)
    wrongs += [Wrong(BRICK if not seen.files else DATA_LOST, text) for text in seen.damage]
    if seen.damage and not seen.files:
        return wrongs
    asked = read_record(seen.files.get("rauc/slots.json", b"").decode(errors="replace")).to_try
    if asked and (why := _find_broken(seen, SLOTS[asked])):
        wrongs.append(Wrong(SLOT, f"slot {asked} is to be tried, and {why}"))
    must_be = "identity" in said
    wrongs += [Wrong(IDENTITY, text) for text in find_changes(seen.files, expected.identity, must_be)]
    wrongs += [Wrong(DATA_LOST, text) for text in find_form_wrongs(seen.files)]
    wrongs += [Wrong(DATA_LOST, text) for text in find_lost(seen.files, before.files, after.files)]
    return wrongs


def _find_slot_wrongs(
    seen: Seen, before: Seen, after: Seen, said: Collection[str], expected: Expected
) -> list[Wrong]:
    wrongs = []
    slot = name_slot(seen.chosen)
    if seen.selection not in {write_selection(number) for number in SLOTS.values()}:
        wrongs.append(f"autoboot.txt is neither the old nor the new one: {seen.selection[:80]!r}")
    elif seen.chosen not in (before.chosen, after.chosen):
        wrongs.append(f"slot {slot} is taken, which was neither before nor after")
    if seen.root_hash != expected.root_hash:
        wrongs.append(f"slot {slot} names a root of another hash")
    if why := _find_broken(seen, seen.chosen):
        return [*(Wrong(SLOT, text) for text in wrongs), Wrong(BRICK, f"slot {slot} is taken, and {why}")]
    if "committed" in said and seen.chosen != BOOT_B:
        wrongs.append(f"slot B had said that it is committed, and {slot} is taken")
    if "installed" in said and (why := _find_broken(seen, BOOT_B)):
        wrongs.append(f"RAUC had said that slot B is installed, and {why}")
    return [Wrong(SLOT, text) for text in wrongs]


def _find_broken(seen: Seen, boot: int) -> str:
    counts = {LABELS[number]: seen.broken[number] for number in (boot, boot + ROOT_A - BOOT_A)}
    return ", ".join(f"{count} blocks of {label} are not its own" for label, count in counts.items() if count)


class Eye:
    """Looks at a card in its state, and only at what is another than in one that it has seen."""

    def __init__(self, card: CrashedCard, story: Story, work: Path) -> None:
        self._card, self._story, self._work = card, story, work
        self._choices: dict[object, tuple[int, str, bytes, str]] = {}
        self._data: dict[object, tuple[Files, list[str]]] = {}
        self._regions = [story.find_region(entry.start) for entry in story.entries]

    def see(self, pieces: Sequence[Piece]) -> Seen:
        """The card with these pieces, in which it must be already (CrashedCard.hold)."""
        chosen, brick, selection, root_hash = _recall(
            self._choices, self._key(_READ_BY_FIRMWARE, pieces), self._choose
        )
        files, damage = _recall(self._data, self._key(_READ_BY_DATA, pieces), self._read_data)
        numbers = (BOOT_A, BOOT_B, ROOT_A, ROOT_B)
        broken = {number: self._card.count_broken(number) for number in numbers}
        return Seen(chosen, brick, selection, root_hash, broken, files, tuple(damage))

    def _key(self, regions: Collection[str], pieces: Sequence[Piece]) -> object:
        written = range(self._card.flushed - 1, -1, -1)
        entries = self._story.entries
        last = next((at for at in written if entries[at].size and self._regions[at] in regions), -1)
        return last, tuple(piece for piece in pieces if self._regions[piece.entry] in regions)

    def _choose(self) -> tuple[int, str, bytes, str]:
        try:
            chosen = choose(self._card.card, self._work, is_try=False)
            selection = (self._work / SELECTION_FILE).read_bytes()
            return chosen.partition, "", selection, read_verity(chosen.arguments).root_hash
        except (RitiError, KeyError, UnicodeDecodeError) as error:
            return 0, str(error), b"", ""

    def _read_data(self) -> tuple[Files, list[str]]:
        try:
            span = find_spans(run(["sfdisk", "--dump", self._card.card]))[DATA]
        except (RitiError, KeyError) as error:
            return {}, [f"there is no data partition: {error}"]
        return read_data(self._card.card, span, self._work)


def _recall(known: dict[object, _Found], key: object, look: Callable[[], _Found]) -> _Found:
    if key not in known:
        if len(known) >= _KEPT_LOOKS:
            known.clear()
        known[key] = look()
    return known[key]
