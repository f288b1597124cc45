"""What the loop does, told to the journal, to Prometheus (the metrics), to /readyz (the board), and to others."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Literal

from ritilib.errors import Problem, RitiError
from ritilib.reconcile.pauses import describe_pause
from ritilib.reconcile.suspensions import SUSPENDING, describe_scope
from ritilib.sync.enroll.registry import Step
from ritilib.sync.held_lines import HeldLines
from ritilib.sync.journal import Journal, Level
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.tell.outbox import Outbox
from ritilib.sync.tell.teller import SERVERS, Teller
from ritilib.sync.wake import Reason
from ritilib.sync.web.board import Board
from ritilib.sync.web.metrics import Metrics


class Chronicle:
    """A line is written when something is new: what stays as it was for days fills no disk."""

    def __init__(
        self, journal: Journal, metrics: Metrics, board: Board, teller: Teller | None = None
    ) -> None:
        """teller: who tells the forge and people (None: nobody is told)."""
        self.journal, self.metrics, self.board = journal, metrics, board
        self.teller = teller or Teller(Outbox({}, metrics, self.report), "", journal.redact)
        self._lock = threading.Lock()
        self._reported: dict[str, str] = {}
        self._standing_problems: frozenset[str] = frozenset()
        self._held_lines = HeldLines()
        self._suspended: frozenset[str] = frozenset()  # scopes
        self._applied = ""
        self._tried: dict[str, tuple[str, str]] = {}  # unit → why and by which commit, until it is done

    def report(self, name: str, error: RitiError) -> None:
        """What a watch, Git or the web could not do; from any thread."""
        if name == "git":
            self.metrics.fetch_failures.labels(type(error).__name__).inc()
        elif name not in ("hooks", "leading", "status", "telling"):
            self.metrics.watch_failures.labels(name).inc()
        with self._lock:
            is_new = self._reported.get(name) != str(error)
            self._reported[name] = str(error)
        if is_new:
            self.journal.note_problems("not-done", error, "warning", part=name)

    def note_role(self, leads: bool, epoch: int = 0, fleet: str = "") -> None:
        """Whether this instance leads the fleet from now on, as which leader counted from 1."""
        self.metrics.leader.set(leads)
        if leads:
            self.teller.note_lead(fleet, epoch)
        else:
            self.teller.note_lost()
        role: Literal["leads", "follows"] = "leads" if leads else "follows"
        if self.board.standing.role != role:
            self.board.standing = replace(self.board.standing, role=role)
            self.journal.note("info", role, epoch=epoch or None)

    def note_end(self) -> None:
        """This instance ends, and leads no more."""
        self.metrics.leader.set(0)
        self.journal.note("info", "ended")

    def note_commit(self, commit: str) -> None:
        """What the mirror holds."""
        self.teller.note_commit(commit)
        self.board.standing = replace(self.board.standing, commit=commit)

    def note_waiting(self, words: str) -> None:
        """What a candidate says of the one who leads; each minute the same."""
        if words.startswith("waiting"):
            self.note_role(leads=False)
            if " leads since " in words:
                self.teller.note_other()
            # the lock was read: an outage before it is over, and who follows asks nobody else
            self.board.standing = replace(self.board.standing, unreachable=(), denied=())
        with self._lock:
            is_new = self._reported.get("candidate") != words
            self._reported["candidate"] = words
        if is_new:
            self.journal.note("info", "candidate", says=words)

    def note_woken(self, reasons: Iterable[Reason]) -> None:
        for reason in reasons:
            self.metrics.wakes.labels(reason).inc()

    def note_unit(self, line: str, commit: str) -> None:
        """What a cycle reports while it goes on: "acme/salto: job, secrets"; a unit that waits is tried often."""
        self.board.beat()
        box, _, why = line.partition(": ")
        level: Level = "debug" if self._tried.get(box) == (why, commit) else "info"
        self._tried[box] = (why, commit)
        self.journal.note(level, "unit", box=box, why=why, commit=commit)

    def note_enrolled(self, step: Step, commit: str) -> None:
        """What became of boxes that ask, or are locked out; of an alarm people are told."""
        for one in step.done:
            level: Level = "warning" if one.alarm else "info"
            self.journal.note(level, "box", box=one.key, what=one.what, commit=commit)
        self.teller.note_alarms({one.key: one.what for one in step.done if one.alarm}, commit)
        if step.problems:
            self.report("enrollment", RitiError(step.problems))

    def note_cycle(self, done: Synced, memory: Memory, seconds: float, now: datetime) -> None:
        """A cycle that came to its end, well or not; memory knows also the units that it left alone."""
        for key in (*done.changed, *done.stopped, *done.purged):
            self._tried.pop(key, None)
        paused = {str(one) for one in map(describe_pause, done.pauses) if one}
        told = sum(one.severity == "error" and str(one) not in paused for one in done.held)
        held = told - len(done.busy) + len(memory.busy)
        counts = {"unchanged": done.unchanged, "changed": len(done.changed), "down": len(done.down)}
        counts["paused"] = sum(one.waits for one in done.pauses)
        self.metrics.set_units(counts | {"held": held, "failed": len(memory.failing)})
        self.metrics.drift_healed.inc(len(done.healed))
        self._note_end("clean" if done.is_clean else "problems", seconds, done.problems)
        self.teller.note_cycle(done, memory, self.board.standing.unreachable)
        is_whole = done.is_whole
        if is_whole:
            self.metrics.note_applied(done.commit, now.timestamp())
        gone = [*done.stopped, *done.purged]
        is_news = bool(done.changed or done.healed or gone or (is_whole and done.commit != self._applied))
        self._applied = done.commit if is_whole else ""
        self.journal.note(
            "info" if is_news else "debug",
            "cycle",
            commit=done.commit,
            seconds=round(seconds, 3),
            changed=list(done.changed) or None,
            healed=sorted(done.healed) or None,
            stopped=list(done.stopped) or None,
            purged=list(done.purged) or None,
            waiting=len(done.waiting) or None,
            left=done.left or None,
            whole=is_whole,
        )
        self._note_pauses(done)
        left_alone = {one.key for one in done.waiting}
        of_held = {str(one) for one in done.held}
        waits = {key: one for key in done.held_back for one in done.told.get(key, ()) if str(one) in of_held}
        for problem in self._held_lines.choose(done.held_back, waits, left_alone):
            self.journal.note_problems("held", RitiError([problem]), "info", commit=done.commit)
        lines = {str(one) for one in waits.values()}
        others = tuple(one for one in (*done.held, *done.problems, *done.down) if str(one) not in lines)
        self._note_problems(done.commit, others, of_held, left_alone)

    def _note_pauses(self, done: Synced) -> None:
        """What is suspended from now on, and what is no more, also where nothing waits for it."""
        suspended = {one.scope: one for one in done.pauses if one.by in SUSPENDING}
        for scope in sorted(suspended.keys() - self._suspended):
            one = suspended[scope]
            until = one.until.isoformat() if one.until else None
            told = {"scope": describe_scope(scope), "why": one.why, "by": one.who or one.by, "until": until}
            self.journal.note("info", "suspended", **told)
        for scope in sorted(self._suspended - suspended.keys()):
            self.journal.note("info", "resumed", scope=describe_scope(scope))
        self._suspended = frozenset(suspended)

    def note_failed_cycle(self, error: RitiError, seconds: float) -> None:
        """A cycle that read not all it needs, and wrote nothing."""
        self._note_end("failed", seconds, error.problems)
        standing = self.board.standing
        self.teller.note_failed_cycle(standing.commit, error, standing.unreachable)
        self._note_problems("", error.problems, set(), None)

    def _note_end(self, outcome: str, seconds: float, problems: Iterable[Problem]) -> None:
        """Also of one unit's problems: the others may need nothing of that server, and the next one does."""
        self.metrics.cycles.labels(outcome).inc()
        self.metrics.cycle_seconds.observe(seconds)
        said = [problem.what for problem in problems]
        self.board.standing = replace(
            self.board.standing,
            unreachable=tuple(name for name in SERVERS if any(f"{name} at " in one for one in said)),
            denied=tuple(name for name in SERVERS if any(f"{name} denied: " in one for one in said)),
        )
        self.board.beat()

    def _note_problems(
        self, commit: str, problems: tuple[Problem, ...], held: set[str], left_alone: set[str] | None
    ) -> None:
        """Those that are new. What was said of a unit that was left alone (None: of all) stands until it is tried."""
        said = frozenset(map(str, problems))
        said |= {
            words
            for words in self._standing_problems
            if left_alone is None or re.split(r"[: ]", words, maxsplit=1)[0] in left_alone
        }
        for problem in problems:
            if str(problem) not in self._standing_problems:
                is_held = str(problem) in held
                level: Level = "info" if is_held else "error"
                if problem.severity == "warning":
                    level = "warning"
                event = "held" if is_held else "problem"
                self.journal.note_problems(event, RitiError([problem]), level, commit=commit or None)
        for words in sorted(self._standing_problems - said):
            self.journal.note("debug", "problem-gone", what=words)
        self._standing_problems = said
