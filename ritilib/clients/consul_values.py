"""What Consul answers, as values."""

from __future__ import annotations

from dataclasses import dataclass, field


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
