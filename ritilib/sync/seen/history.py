"""What was applied when, by which commit and by whom: one value in Consul, the newest first, the oldest forgotten.

It is for people. Git and the inventory say what is true, and losing this costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import TypeAdapter

from ritilib.reconcile.entry import encode_entry
from ritilib.reconcile.wording import say
from ritilib.sync.seen.status import MOST_BYTES, decode_value
from ritilib.sync.synced import Synced

HISTORY_FORMAT = 1
MOST_ENTRIES = 200
MOST_NAMES = 20  # of units in one entry; counts has the whole numbers


@dataclass(frozen=True)
class Entry:
    """One cycle that changed something, or with which a commit was wholly applied.

    units: what happened ("changed", "healed", "stopped", "purged", "gone_back", "failed") → the first names, MOST_NAMES
    in all; counts has the same keys, and those that stand at 0 are left out of both.
    """

    began: str
    ended: str
    commit: str
    who: str
    epoch: int
    whole: bool
    counts: Mapping[str, int]
    units: Mapping[str, tuple[str, ...]]

    def names(self, key: str) -> tuple[str, ...]:
        """What happened to this unit in it, as far as the names go."""
        return tuple(sorted(what for what, units in self.units.items() if key in units))


@dataclass(frozen=True)
class History:
    """entries, the newest first."""

    entries: tuple[Entry, ...] = ()
    format: int = HISTORY_FORMAT

    def to_bytes(self) -> bytes:
        """Its JSON, no longer than MOST_BYTES: where names are that long, the oldest entries go."""
        kept = len(self.entries)
        while len(encoded := self._encode(kept)) > MOST_BYTES and kept:
            kept -= max(1, kept // 8)
        return encoded

    def _encode(self, kept: int) -> bytes:
        entries = [asdict(one) for one in self.entries[:kept]]
        return encode_entry({"format": self.format, "entries": entries})


_HISTORY = TypeAdapter(History)


def read_history(key: str, value: bytes) -> History:
    """The value in Consul; GitopsError where it is none that this version writes."""
    return decode_value(key, value, _HISTORY, HISTORY_FORMAT)


def make_entry(
    done: Synced, is_first_whole: bool, who: str, epoch: int, began: datetime, ended: datetime
) -> Entry | None:
    """The entry of a cycle; None where it changed nothing. is_first_whole: its commit was not wholly applied before."""
    healed = done.healed
    happened = {
        "changed": [key for key in done.changed if key not in healed],
        "healed": sorted(healed),
        "stopped": list(done.stopped),
        "purged": list(done.purged),
        "gone_back": sorted(done.gone_back),
        "failed": sorted(done.failed),
    }
    has_changed = any(names for what, names in happened.items() if what != "failed")
    if not (has_changed or (is_first_whole and done.is_whole)):
        return None
    units: dict[str, tuple[str, ...]] = {}
    left = MOST_NAMES
    for what, names in happened.items():
        if names[:left]:
            units[what] = tuple(names[:left])
            left -= len(units[what])
    counts = {what: len(names) for what, names in happened.items() if names}
    return Entry(say(began), say(ended), done.commit, who, epoch, done.is_whole, counts, units)
