"""The overlay's block list: one value in Consul, which every box and every PBX reads."""

from __future__ import annotations

import json
from collections.abc import Collection

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict, ServerError

TRIES = 5  # other threads of the same leader block others meanwhile


def read_blocked(value: bytes, key: str) -> list[str]:
    """The fingerprints; ServerError where it is no such list."""
    try:
        said = json.loads(value)
    except ValueError:
        said = None
    if isinstance(said, list) and all(isinstance(one, str) for one in said):
        return said
    what = f"{key} in Consul is no list of fingerprints"
    raise ServerError.because(what, "see who wrote it, and remove it: what was blocked is in the bindings")


def block(consul: ConsulClient, key: str, wanted: Collection[str], ended: Collection[str] = ()) -> bool:
    """Have these refused, and forget those that have ended by themselves; what else is there stays. True where written.

    Raises Conflict where others write it all the time.
    """
    for tries in range(TRIES):
        held = consul.read(key)
        before = read_blocked(held.value, key) if held else []
        after = sorted({*before, *wanted} - set(ended))
        if held and after == before:
            return False
        try:
            consul.write(key, (json.dumps(after) + "\n").encode(), held.modify_index if held else 0)
            return True
        except Conflict:
            if tries == TRIES - 1:
                raise
    return False
