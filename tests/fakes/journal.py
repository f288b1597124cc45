"""What a fake was asked, so that a test can count, and can end a sync after any one write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Journal:
    """requests and writes in order; on_write is called after each write with its words, and may raise."""

    requests: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    on_write: Callable[[str], None] = lambda words: None

    def ask(self, words: str) -> None:
        self.requests.append(words)

    def write(self, words: str) -> None:
        self.requests.append(words)
        self.writes.append(words)
        self.on_write(words)
