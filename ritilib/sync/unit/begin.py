"""How a unit's writing begins: the intent is recorded; where a task goes, what runs is kept and its door is closed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import Conflict
from ritilib.reconcile.state import Record, Wish
from ritilib.sync.observe import Places
from ritilib.sync.unit.door import CLOSING_S, NO_DOOR, await_idle, write_closing
from ritilib.sync.unit.last_good import describe_last_good, name_last_good
from ritilib.sync.unit.word import Speaker


@dataclass(frozen=True)
class Begun:
    """record is the intent as it stands in the inventory, index its ModifyIndex; value_index that of the unit's value
    (None: not known). why: it may not go on, and all is again as it was."""

    record: Record
    index: int
    value_index: int | None
    why: str = ""


def begin_replacing(
    wish: Wish,
    record: Record | None,
    intent: Record,
    index: int,
    nomad: NomadClient,
    consul: ConsulClient,
    speaker: Speaker | None,
) -> Begun:
    """Record the intent (whose entry, record, has this index), and with it what runs, to go back to.

    speaker is the PBX where it is to be without a call first: its door is closed in the same transaction. Raises
    Conflict, Unreachable, Denied or ServerError.
    """
    names, base = wish.names, record or intent
    held = consul.read(names.kv_key)
    closed = write_closing(held) if speaker else None
    if speaker and closed is None:
        return Begun(base, index, None, NO_DOOR)
    changes_box = base.box not in ("", wish.digests.box)
    held_box = consul.read(names.box_kv_key) if changes_box else None
    kept = describe_last_good(wish, base, held, held_box, nomad, consul)
    begun = _write(wish, intent, index, held, closed, kept, consul)
    if speaker is None or closed is None or begun.value_index is None:
        return begun
    closing = await_idle(names, closed, begun.value_index, consul, speaker, CLOSING_S)
    if not closing.why:
        return begun
    # what is open again has another index, and is what was recorded
    as_before = replace(base, value_index=closing.index, kept_index=begun.record.kept_index)
    if record:
        consul.write(Places(names.fleet).record(names.key), as_before.to_bytes(), begun.index)
    return Begun(as_before, 0, closing.index, closing.why)


def _write(
    wish: Wish,
    intent: Record,
    index: int,
    held: Entry | None,
    closed: bytes | None,
    kept: bytes | None,
    consul: ConsulClient,
) -> Begun:
    """All of it, or nothing. What an earlier sync kept, and did not live to forget, is written over."""
    place = name_last_good(wish.names)
    writes: list[tuple[str, bytes | None, int]] = [
        (Places(wish.names.fleet).record(wish.names.key), intent.to_bytes(), index)
    ]
    if closed is not None and held:
        writes.append((wish.names.kv_key, closed, held.modify_index))
    if kept is not None:
        try:
            written = consul.write_all([*writes, (place, kept, intent.kept_index)])
        except Conflict:
            old = consul.read(place)
            if old is None:
                raise
            written = consul.write_all([*writes, (place, kept, old.modify_index)])
        intent = replace(intent, kept_index=written[-1])
    else:
        written = consul.write_all(writes)
    value_index = written[1] if closed is not None and held else held.modify_index if held else 0
    return Begun(intent, written[0], value_index)
