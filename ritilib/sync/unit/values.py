"""What a unit writes to Consul, in as few requests as its compare-and-sets allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict

MOST_BYTES = (
    350_000  # of one transaction: Consul takes 512 KB, of text that is a third longer than what it says
)


@dataclass(frozen=True)
class Put:
    """What a key is to say; index is the ModifyIndex by which it may be written (0: it is not there), where known."""

    key: str
    value: bytes
    index: int | None = None


def put_all(puts: Sequence[Put], consul: ConsulClient) -> dict[str, int]:
    """Have every key say what it is to say: key → its ModifyIndex then.

    A key that was written by somebody else meanwhile is looked at and written all the same, as a hand's edit is.
    Raises Conflict where another writes it at this very moment.
    """
    indexes: dict[str, int] = {}
    for group in _group(puts):
        if all(put.index is not None for put in group):
            try:
                indexes |= _write(group, consul)
                continue
            except Conflict:
                pass  # one of them is not as it was: which, only a look tells
        indexes |= _look_and_write(group, consul)
    return indexes


def _look_and_write(puts: Sequence[Put], consul: ConsulClient) -> dict[str, int]:
    held = {put.key: consul.read(put.key) for put in puts}
    same = {key: entry.modify_index for key, entry in held.items() if entry}
    other = []
    for put in puts:
        entry = held[put.key]
        if entry is None or entry.value != put.value:
            other.append(replace(put, index=entry.modify_index if entry else 0))
    return same | (_write(other, consul) if other else {})


def _write(puts: Sequence[Put], consul: ConsulClient) -> dict[str, int]:
    written = consul.write_all([(put.key, put.value, put.index or 0) for put in puts])
    return {put.key: index for put, index in zip(puts, written, strict=True)}


def _group(puts: Sequence[Put]) -> Iterator[list[Put]]:
    group: list[Put] = []
    for put in puts:
        if group and sum(len(one.value) for one in (*group, put)) > MOST_BYTES:
            yield group
            group = []
        group.append(put)
    if group:
        yield group
