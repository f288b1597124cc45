"""The fleet's repository as it was last read whole, kept up to date by a thread of its own: no cycle waits for Git."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from random import random as any_random

from ritilib.errors import GitopsError, HistoryRefused, RitiError, Unreachable
from ritilib.gitops.desired import Desired, read_desired
from ritilib.gitops.history import Accepted
from ritilib.gitops.mirror import Mirror
from ritilib.reconcile.backoff import Backoff, Random, spread
from ritilib.sync.wake import Report, Wakeups

AGAIN = Backoff(first_s=1.0, longest_s=60.0)
PATIENCE_S = 20.0  # for another look that is under way
# the newest commit ("": it is not known), and why it could not be had or used (None: it is in force now)
Judged = Callable[[str, RitiError | None], None]
END_S = 10.0  # a Git that was told to end, and the reading of a large commit


class Source:
    """Use it as a context: its thread runs while it lasts.

    asks wakes the thread before the next poll (a webhook), and ends it when it is closed; wakeups is the loop's, which
    is woken where there is another commit. What Git or a commit is not good for is reported as "git", and leaves the
    last good one in force.
    """

    def __init__(
        self,
        mirror: Mirror,
        asks: Wakeups,
        wakeups: Wakeups,
        report: Report,
        poll_s: float,
        rewritten: str | None = None,
        read: Callable[[Path, str], Desired] = read_desired,
        random: Random = any_random,
        judged: Judged = lambda commit, error: None,
    ) -> None:
        """rewritten: see judge_history. judged is told of every look, from any thread."""
        self._mirror, self._asks, self._wakeups, self._report = mirror, asks, wakeups, report
        self._poll_s, self._rewritten, self._read, self._random = poll_s, rewritten, read, random
        self._judged = judged
        self._held: tuple[Desired, Accepted] | None = None
        self._bound: Accepted | None = None
        self._is_current = False
        self._trouble: RitiError | None = None
        self._defect: Exception | None = None
        self._refused: tuple[str, GitopsError] | None = (
            None  # a commit that cannot be used, read once and not each time
        )
        self._lock = threading.Lock()  # of the mirror, which one at a time may fetch
        self._thread = threading.Thread(target=self._run, name="git", daemon=True)

    @property
    def desired(self) -> Desired | None:
        """The last good commit; None where there is none yet. Raises the defect that ended the thread, if one did."""
        return self.held[0] if self.held else None

    @property
    def held(self) -> tuple[Desired, Accepted] | None:
        """As `desired`, with what its successors must go on from."""
        if self._defect:
            raise self._defect
        return self._held

    @property
    def is_current(self) -> bool:
        """Whether the last look went well: else the newest commit is not known, and nothing may be deleted."""
        return self._is_current

    @property
    def trouble(self) -> RitiError | None:
        """What the last look failed with; None where it went well."""
        return self._trouble

    def look(self) -> Desired:
        """Ask the other side now, and give its newest commit. Raises as Mirror.fetch and read_desired."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise Unreachable.because(
                "the repository is still being fetched", "it is looked at again by itself"
            )
        try:
            self._refuse_end()
            fetched = ""
            try:
                accepted = self._mirror.fetch(self._bound, self._rewritten)
                fetched = accepted.commit
                self._refuse_end()
                found = self._take(accepted)
            except RitiError as error:
                self._is_current, self._trouble = False, error
                self._judged(self._mirror.tip if isinstance(error, HistoryRefused) else fetched, error)
                raise
            self._is_current, self._trouble = True, None
            self._judged(fetched, None)
            return found
        finally:
            self._lock.release()

    def look_again(self, known: Desired) -> Desired:
        """As `look`; known itself where that is still the newest commit."""
        found = self.look()
        return known if found.commit == known.commit else found

    def bind(self, applied: Accepted) -> None:
        """Have nothing from now on but what goes on from a commit that some controller has applied.

        Where the last good one does not, the other side is asked. Raises as `look`, HistoryRefused above all: then the
        last good one may not be applied.
        """
        self._bound = applied
        held = self.held
        if held is None or not self._mirror.goes_on(applied.commit, held[0].commit):
            self.look()

    def __enter__(self) -> Source:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asks.close()
        self._thread.join(END_S)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # the loop must not go on for years without Git, and nobody notice
            self._defect = error
            self._wakeups.wake("git")

    def _follow(self) -> None:
        self._take_last()
        failures = 0
        while not self._asks.is_closed:
            pause_s = spread(self._poll_s, self._random)
            try:
                self.look()
                failures = 0
            except RitiError as error:
                if self._asks.is_closed:
                    return
                failures += 1
                self._report("git", error)
                pause_s = min(pause_s, AGAIN.delay(failures, self._random))
            self._asks.wait(pause_s)

    def _take_last(self) -> None:
        """What was accepted before this process began: it needs no Git server."""
        try:
            with self._lock:
                if last := self._mirror.last:
                    self._take(last)
        except RitiError as error:
            self._report("git", error)

    def _take(self, accepted: Accepted) -> Desired:
        """Read a commit, where it is another than the last good one; where the mirror is damaged it is healed first."""
        commit, before = accepted.commit, self._held[0] if self._held else None
        if before and before.commit == commit:
            return before
        if self._refused and self._refused[0] == commit:
            raise self._refused[1]
        try:
            found = self._read_healed(commit)
            if before and before.fleet != found.fleet:
                what = f"{commit[:12]} calls the fleet `{found.fleet}`, and it was `{before.fleet}`"
                raise GitopsError.because(what, "give the name back; another fleet needs its own controller")
        except GitopsError as error:
            self._refused = (commit, error)
            raise
        self._held = (found, accepted)
        self._wakeups.wake("git")
        return found

    def _read_healed(self, commit: str) -> Desired:
        try:
            return self._read(self._mirror.repo, commit)
        except GitopsError:
            if not self._mirror.heal():
                raise
        return self._read(self._mirror.repo, commit)

    def _refuse_end(self) -> None:
        if self._asks.is_closed:
            raise RitiError.because("this controller ends", "whoever leads next goes on")
