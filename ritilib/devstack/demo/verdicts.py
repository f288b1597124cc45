"""What the demo finds out, as values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fact:
    """One thing that a step found out: held or not, and the figure or words that show it."""

    what: str
    held: bool
    figure: str = ""


@dataclass
class Step:
    """One of the nine steps: its facts so far and the seconds it took."""

    number: int
    title: str
    facts: list[Fact] = field(default_factory=list)
    seconds: float = 0.0

    def find(self, what: str, held: bool, figure: str = "") -> None:
        """Note a fact; the demo goes on either way, so that one run shows all that does not hold."""
        self.facts.append(Fact(what, held, figure))

    @property
    def held(self) -> bool:
        return bool(self.facts) and all(fact.held for fact in self.facts)
