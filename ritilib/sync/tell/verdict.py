"""How a commit fares, of what a cycle did: one word for the forge, and the words beside it. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ritilib.errors import Problem
from ritilib.gitops.desired import STALE
from ritilib.reconcile.prune import REMOVALS_HELD
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.tell.events import count
from ritilib.sync.unit.settle import KNOWN_BAD, NOT_JUDGED, WENT_BACK

State = Literal["pending", "success", "failure"]
AGAIN = 2  # what failed once is tried again; what failed so often in a row is worth a word


@dataclass(frozen=True)
class Verdict:
    """How the commit stands after a cycle.

    went_back, known_bad: units that could not take it; failing: units that failed AGAIN times or more; all with why.
    removals: what is held for approval.
    """

    state: State
    words: str
    went_back: Mapping[str, str] = field(default_factory=dict)
    known_bad: Mapping[str, str] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    removals: Problem | None = None


def judge_cycle(done: Synced, memory: Memory, before: Mapping[str, str] = {}) -> Verdict:
    """memory is the loop's after the cycle; before: `failing` of the last one, since who is not due says nothing."""
    went_back = _list_units(done.problems, WENT_BACK)
    known_bad = _list_units(done.problems, KNOWN_BAD)
    said = _list_units(done.problems, "")
    failing = {
        key: said.get(key) or before.get(key) or "it fails"
        for key, one in sorted(memory.failing.items())
        if one.failures >= AGAIN
    }
    removals = next((one for one in done.held if one.rule == REMOVALS_HELD), None)
    wrong = [f"{key}: {why}" for key, why in sorted({**known_bad, **went_back, **failing}.items())]
    wrong += [str(one) for one in done.held if one.rule == STALE]
    if memory.failures >= AGAIN:
        wrong += _list_others(done.problems, done.failed)
    state, words = _say(done, memory, wrong, removals)
    return Verdict(state, words, went_back, known_bad, failing, removals)


def _say(done: Synced, memory: Memory, wrong: Collection[str], removals: Problem | None) -> tuple[State, str]:
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return "failure", f"{next(iter(wrong))}{more}"
    if done.is_whole:
        return "success", f"{count(count_units(done), 'unit')} as wished"
    parts = [f"rollout: wave {done.wave} of {done.waves}"] if done.wave else []
    if memory.busy:
        parts.append(f"{count(len(memory.busy), 'unit')} held by calls")
    if done.watched:
        parts.append(f"{count(len(done.watched), 'unit')} watched")
    if removals:
        parts.append("removals held for approval")
    if gone := [one for one in done.waiting if one.key not in memory.busy and one.key not in memory.failing]:
        parts.append(f"{count(len(gone), 'removal')} waiting")
    if done.failed:
        parts.append(f"{count(len(done.failed), 'unit')} tried again")
    if done.left:
        parts.append(f"{done.left} left to do")
    return "pending", "; ".join(parts) or "not all is as wished yet"


def count_units(done: Synced) -> int:
    """The units that are as the commit wishes after a whole cycle."""
    return done.unchanged + len(done.changed)


def _list_units(problems: Iterable[Problem], rule: str) -> dict[str, str]:
    """unit → what its first problem of this rule says, and the mend."""
    found: dict[str, str] = {}
    for problem in problems:
        key, words = split_unit(problem)
        if problem.rule == rule and key:
            found.setdefault(key, f"{words}; {problem.mend}" if problem.mend else words)
    return found


def _list_others(problems: Iterable[Problem], failed: Collection[str]) -> list[str]:
    """Problems that are of no single unit, and that no later judgement takes away."""
    judged = (WENT_BACK, KNOWN_BAD, NOT_JUDGED)
    return [str(one) for one in problems if one.rule not in judged and split_unit(one)[0] not in failed]


def split_unit(problem: Problem) -> tuple[str, str]:
    """("acme/salto", what is said of it) of "acme/salto: …" or "acme/salto did …"; ("", all of it) of no unit."""
    match = re.match(r"([a-z0-9-]+/[a-z0-9-]+)(?::| (?=did |stays )) ?(.*)", problem.what, re.DOTALL)
    return (match[1], match[2]) if match else ("", problem.what)
