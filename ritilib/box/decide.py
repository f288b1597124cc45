"""What the agent does next with the box's configuration: a pure function of what is held, offered and said."""

from __future__ import annotations

from dataclasses import dataclass

from ritilib.box.live import Configuration
from ritilib.box.swap import Generation, Held
from ritilib.box.word import Word, explain, is_in_force

# From the switch to the watcher's acknowledgement: a reload takes it 5 s at the most (jobs/pbx/watcher/watch.go,
# lookEvery), and a start of Asterisk on a loaded Pi some ten more.
ACKNOWLEDGED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Rest:
    """Nothing now; why is for the report ("" where all is as it should be)."""

    why: str = ""


@dataclass(frozen=True)
class Confirm:
    """What is current is in force: it is the last good one."""


@dataclass(frozen=True)
class GoBack:
    """To the last good one; what is current is refused for this reason."""

    to: str
    why: str


@dataclass(frozen=True)
class Try:
    """Boot it aside, and where that is well, switch to it; not while a call is up that a new start would cut
    (must_wait). usual as for candidate.try_candidate."""

    made: Configuration
    usual: tuple[str, ...] | None


Action = Rest | Confirm | GoBack | Try


def decide(held: Held, offered: Configuration | None, word: Word, waited_s: float) -> Action:
    """offered is what the live value and the secrets make (None: nothing usable is known); waited_s is how long the
    watcher has had to acknowledge what is current, the time not counted in which it waited for a call's end.

    A refused configuration is not tried again until another comes.
    """
    current = held.current
    if current and not held.is_confirmed:
        if is_in_force(current, word):
            return Confirm()
        # there is something better only where another one was good
        if held.good:
            if waited_s >= ACKNOWLEDGED_WITHIN_S:
                return GoBack(held.good, explain(current, word))
            return Rest(f"waits until it is in force: {explain(current, word)}")
    if offered is None or (current and offered.identity == current.identity):
        return Rest("" if held.is_confirmed or current is None else explain(current, word))
    if held.refused and held.refused.identity == offered.identity:
        return Rest(f"{offered.identity} was refused: {held.refused.why}")
    return Try(offered, current.usual if current else None)


def must_wait(current: Generation | None, offered: Configuration, word: Word) -> bool:
    """Whether a call is up that the switch would cut: what Asterisk reads at its start only waits for its end."""
    return needs_start(current, offered) and word.is_busy


def needs_start(current: Generation | None, offered: Configuration) -> bool:
    """Whether Asterisk must start anew for it."""
    return current is not None and current.start != offered.start


def counts(held: Held, word: Word) -> bool:
    """Whether time runs against what is current: not while the watcher waits for the end of a call to start anew."""
    current = held.current
    return not (current and word.is_busy and not word.problems and word.started != current.start)
