"""What Vault answers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Document:
    """The latest version of a document; version is what a compare-and-set names."""

    version: int
    data: dict[str, Any] = field(repr=False)


def is_gone(version: Mapping[str, Any]) -> bool:
    """Whether a version can be read no more: it is deleted, or destroyed."""
    return bool(version["destroyed"] or version.get("deletion_time"))


def says(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether held has what is wanted; lists are sets to Vault."""
    return all(_sort(held.get(name)) == _sort(value) for name, value in wanted.items())


def _sort(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
