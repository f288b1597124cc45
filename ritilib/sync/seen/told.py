"""The history as a reader asks for it."""

from __future__ import annotations

from ritilib.clients.protocols import ConsulClient
from ritilib.reconcile.state import Record, read_record
from ritilib.sync.observe import Places
from ritilib.sync.seen.history import Entry, read_history


def read_entries(
    fleet: str, unit: str | None, consul: ConsulClient
) -> tuple[tuple[Entry, ...], Record | None]:
    """The fleet's entries, the newest first; with a unit ("acme/salto") those that name it, and its inventory entry.

    Raises what Consul raises, and GitopsError where what is there is not of this version.
    """
    places = Places(fleet)
    held = consul.read(places.history)
    entries = read_history(held.key, held.value).entries if held else ()
    if unit is None:
        return entries, None
    entry = consul.read(places.record(unit))
    record = read_record(entry.key, entry.value) if entry else None
    return tuple(one for one in entries if one.names(unit)), record
