"""What one cycle did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ritilib.errors import Problem
from ritilib.reconcile.prune import Waiting
from ritilib.reconcile.restarts import Restarts
from ritilib.reconcile.rollout import Turn
from ritilib.reconcile.suspensions import Pause
from ritilib.sync.images import Rolled


@dataclass(frozen=True)
class Synced:
    """What a cycle did: units written, units that wait, and every problem that a person should see.

    waiting: units that are left as they are, and until when: those that no manifest names, and those that are not due.
    inventory_index is the floor of the next cycle of this process, busy its units that wait for their calls to end.
    failed: units with which something went wrong, denied those of them that a server denied; watched: replaced, and not
    judged yet; rotating: they wait until their company holds the secrets of its links; down: nothing of them ran when
    the cycle began, which a cycle does not mend; healed: put back after somebody else had changed them. left: how many
    were not tried, since the cycle was to end or a server was away. due: when time alone makes something be done.
    turn: whose it is in the rollout. held_back: unit → why nothing of it was written; told: unit → those of held and
    problems that are its own. gone_back: units that went back to what they were, just now; refused: those whose wished
    job is known to be bad; down_units: those of `down`, in its order. pauses: what is suspended, or waits for a window
    or for hands, also where nothing waits; held says of each for which something does. restarts: what is known to
    replace a task, for the next cycle of this process. images: what is known of the boxes'
    images, likewise. turns_left: whether what Consul says of PBXes' instances is to be looked at once more.
    """

    commit: str
    changed: tuple[str, ...]
    held: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    unchanged: int
    stopped: tuple[str, ...]
    purged: tuple[str, ...]
    waiting: tuple[Waiting, ...]
    inventory_index: int
    busy: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    rotating: frozenset[str] = frozenset()
    down: tuple[Problem, ...] = ()
    healed: frozenset[str] = frozenset()
    left: int = 0
    due: datetime | None = None
    turn: Turn = field(default_factory=Turn)
    held_back: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    gone_back: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    down_units: tuple[str, ...] = ()
    pauses: tuple[Pause, ...] = ()
    restarts: Restarts = field(default_factory=dict)
    images: Rolled | None = None
    turns_left: bool = False

    @property
    def is_clean(self) -> bool:
        return not (self.held or self.problems)

    @property
    def why_down(self) -> Mapping[str, Problem]:
        """unit → why nothing of it ran."""
        return dict(zip(self.down_units, self.down, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether everything is as the commit wants it, and known to be well."""
        return self.is_clean and not (self.left or self.waiting or self.watched)
