"""What a fake was asked, so that a test can count, and can end a sync after any one write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest


class Died(Exception):
    """The process ended right after a write."""


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

    @contextmanager
    def die_at(self, number: int) -> Iterator[None]:
        """What writes in it must end with Died, right after the write of this number; later writes go on."""

        def die(_words: str) -> None:
            if len(self.writes) == number:
                raise Died

        self.on_write = die
        with pytest.raises(Died):
            yield
        self.on_write = lambda _words: None
