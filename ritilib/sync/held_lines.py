"""What the log says of units that are held back: each reason once while a unit waits, and one line for many of them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from ritilib.errors import Problem

MOST_LINES = 10  # of units that begin to wait for the same in one cycle: a rollout may hold back a thousand
SHOWN = 3  # that are named where they are one line


class HeldLines:
    """Remembers what was told: a PBX may wait for its call and for its wave by turns, for hours."""

    def __init__(self) -> None:
        self._told: dict[str, frozenset[str]] = {}  # unit → reasons

    def choose(
        self, why: Mapping[str, str], words: Mapping[str, Problem], resting: Set[str]
    ) -> list[Problem]:
        """What is news: why and words are those of the units that this cycle held back, resting those it left alone."""
        fresh = [key for key in sorted(words) if why[key] not in self._told.get(key, ())]
        self._told = {key: told for key, told in self._told.items() if key in words or key in resting} | {
            key: self._told.get(key, frozenset()) | {why[key]} for key in words
        }
        by_reason: dict[str, list[str]] = {}
        for key in fresh:
            by_reason.setdefault(why[key], []).append(key)
        found: list[Problem] = []
        for reason, keys in by_reason.items():
            if len(keys) <= MOST_LINES:
                found += [words[key] for key in keys]
            else:
                some = f"{', '.join(keys[:SHOWN])}, …"
                found.append(
                    replace(words[keys[0]], what=f"{len(keys)} units are held back: {reason}: {some}")
                )
        return found
