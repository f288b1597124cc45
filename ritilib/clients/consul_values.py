"""What Consul answers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A transaction has one status for whatever went wrong in it, and these words (Consul 1.15.3, agent/consul/state/txn.go
# and kvs.go) where somebody else wrote, holds the lock, or our session is gone.
LOST = (
    "index is stale",
    "failed index check",
    "failed to check index",
    '" exists',
    "lock is already held",
    "due to lock delay",
    "lock isn't held",
    "invalid session",
)


@dataclass(frozen=True)
class Entry:
    """One key; modify_index is what a compare-and-set names, session who holds it as a lock ("": nobody)."""

    key: str
    value: bytes = field(repr=False)
    modify_index: int
    session: str = ""


@dataclass(frozen=True)
class Tree:
    """Every entry below a prefix, sorted by key; index as in Keys."""

    index: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Keys:
    """The keys below a prefix, sorted, and Consul's index of that prefix (see Consul.list_keys)."""

    index: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class BindingRule:
    """Which role or service identity a login through an auth method is given."""

    id: str
    bind_type: str
    bind_name: str
    selector: str
    description: str


@dataclass(frozen=True)
class Watched:
    """One key (None: it is not there), and the index to wait from for its next change."""

    index: int
    entry: Entry | None


def make_entry(found: Mapping[str, Any]) -> Entry:
    """A key, from Consul's answer with its value decoded."""
    return Entry(found["Key"], found["Value"] or b"", found["ModifyIndex"], found.get("Session", ""))


def says(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether held has what is wanted."""
    return all(held.get(name) == value for name, value in wanted.items())
