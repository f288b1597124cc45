"""A token that can be taken back."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Issued:
    """A new token: its secret, and the accessor by which a holder of that right revokes it (no secret itself)."""

    secret: str = field(repr=False)
    accessor: str
