"""How a commit fares, of what a cycle did: one word for the forge, and the words beside it. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ritilib.errors import Problem
from ritilib.gitops.company import STALE
from ritilib.reconcile.prune import REMOVALS_HELD
from ritilib.reconcile.wording import count
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced

State = Literal["pending", "success", "failure"]
AGAIN = 2  # what failed once is tried again; what failed so often in a row is worth a word

_UNSAID = "see the controller's log"


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
    said = {key: _explain(key, problems[0]) for key, problems in sorted(done.told.items()) if problems}
    went_back = {key: said.get(key, _UNSAID) for key in sorted(done.gone_back)}
    known_bad = {key: said.get(key, _UNSAID) for key in sorted(done.refused)}
    images = done.images.failed if done.images else {}
    known_bad |= {key: f"its box {why}" for key, why in sorted(images.items()) if key not in known_bad}
    failing = {
        key: said.get(key) or before.get(key) or _UNSAID
        for key, one in sorted(memory.failing.items())
        if one.failures >= AGAIN
    }
    removals = next((one for one in done.held if one.rule == REMOVALS_HELD), None)
    # who is refused and fails too is told once
    wrong = [f"{key}: {why}" for key, why in sorted({**known_bad, **went_back, **failing}.items())]
    wrong += [str(one) for one in done.held if one.rule == STALE]
    if memory.failures >= AGAIN:
        of_units = {problem for problems in done.told.values() for problem in problems}
        of_units |= set(done.images.problems if done.images else ())
        wrong += [str(one) for one in done.problems if one not in of_units]
    state, words = _say(done, memory, wrong, removals)
    return Verdict(state, words, went_back, known_bad, failing, removals)


def _say(done: Synced, memory: Memory, wrong: Collection[str], removals: Problem | None) -> tuple[State, str]:
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return "failure", f"{next(iter(wrong))}{more}"
    if done.is_whole:
        down = f"; nothing runs of {len(done.down)}" if done.down else ""
        return "success", f"{count(count_units(done), 'unit')} as wished{down}"
    parts = [f"rollout: wave {done.turn.wave} of {done.turn.waves}"] if done.turn.wave else []
    if done.turn.stopped:
        parts = [f"rollout stopped: {done.turn.stopped}"]
    if memory.busy:
        parts.append(f"{count(len(memory.busy), 'unit')} held by calls")
    if done.watched:
        parts.append(f"{count(len(done.watched), 'unit')} watched")
    if removals:
        parts.append("removals held for approval")
    if gone := [one for one in done.waiting if one.key not in memory.busy and one.key not in memory.failing]:
        parts.append(f"{count(len(gone), 'removal')} waiting")
    if done.images and done.images.held:
        parts.append("boxes get another image")
    if done.failed:
        parts.append(f"{count(len(done.failed), 'unit')} tried again")
    if done.left:
        parts.append(f"{done.left} left to do")
    return "pending", "; ".join(parts) or "not all is as wished yet"


def count_units(done: Synced) -> int:
    """The units that are as the commit wishes after a whole cycle."""
    return done.unchanged + len(done.changed)


def _explain(key: str, problem: Problem) -> str:
    """What is said of a unit, and the mend, without its name before it."""
    words = problem.what.removeprefix(key).lstrip(": ")
    return f"{words}; {problem.mend}" if problem.mend else words
