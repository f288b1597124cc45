"""What is to be done for which box, besides answering requests. Pure functions of values: 10,000 boxes in one look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from ritilib.enroll.binding import CLOSED, Binding, Expected

# open: let the bearer of a claim ask. finish: what a state begun needs. revoke: the fleet says so. shut: the box is in,
# nobody needs to ask any more. replace: another generation is wished, and the one that is bound goes first
Duty = Literal["open", "finish", "revoke", "shut", "replace"]


@dataclass(frozen=True)
class Task:
    """One thing to do for one box (key "acme/salto"); binding is what there was."""

    key: str
    duty: Duty
    expected: Expected | None
    binding: Binding | None


def list_tasks(
    expected: Mapping[str, Expected], bindings: Mapping[str, Binding], inside: Set[str]
) -> Iterator[Task]:
    """What the merged boxes and the bindings need; inside: boxes that were seen with tokens of their own.

    A box that the fleet does not name (any more) is left as it is, but for what was begun: its company may be held.
    """
    for key in sorted(expected.keys() | bindings.keys()):
        wanted, held = expected.get(key), bindings.get(key)
        duty = _find_duty(wanted, held, key in inside)
        if duty:
            yield Task(key, duty, wanted, held)


def _find_duty(wanted: Expected | None, held: Binding | None, is_inside: bool) -> Duty | None:
    if held is None:
        return "open" if wanted and not wanted.revoked else None
    if held.state in CLOSED and not held.done:
        return "finish"
    if wanted is None or held.generation > wanted.generation:
        return None
    if wanted.revoked:
        return None if held.state == "revoked" else "revoke"
    if held.generation < wanted.generation:
        return "replace"
    if held.open and held.done and is_inside and held.state == "bound":
        return "shut"
    return None


def awaits(bindings: Mapping[str, Binding]) -> bool:
    """Whether a box is bound and was not seen inside yet."""
    return any(one.state == "bound" and one.open and one.done for one in bindings.values())
