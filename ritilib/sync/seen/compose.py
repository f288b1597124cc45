"""The leader's view after a cycle, made of the view before it. Pure functions of values: nothing new, same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ritilib.errors import Problem
from ritilib.reconcile.pauses import describe_pause
from ritilib.reconcile.rollout import Turn
from ritilib.reconcile.suspensions import SUSPENDING, Pause
from ritilib.reconcile.wording import say
from ritilib.sync.backoff import Failing
from ritilib.sync.pace import Memory
from ritilib.sync.seen.status import (
    LONGEST_LIST,
    Commit,
    Counts,
    DownUnit,
    FailingUnit,
    HealedUnit,
    HeldUnit,
    Hold,
    PausedScope,
    Spell,
    Status,
    Trouble,
    WaitingUnit,
    WatchedUnit,
    Wave,
    make_troubles,
    shorten,
)
from ritilib.sync.synced import Synced

Hide = Callable[[str], str]  # takes out of a text what nobody may read


@dataclass(frozen=True)
class View:
    """What a leader's view is made of: status as it would be published with all its lists whole, and what was last
    known of the units that fail, by which a unit that was not tried again keeps its words."""

    status: Status
    failing: Mapping[str, Failing] = field(default_factory=dict)


def start_cycle(view: View, commit: str) -> View:
    """The view when a cycle begins to make the servers equal to a commit."""
    before = view.status
    is_same = before.commit.wanted == commit
    wanted = replace(before.commit, wanted=commit)
    return replace(view, status=replace(before, commit=wanted, whole=before.whole and is_same))


def note_cycle(
    view: View, done: Synced, memory: Memory, units: int, now: datetime, now_s: float, hide: Hide
) -> View:
    """The view after a cycle that came to its end. units: how many the commit wants; now and now_s (monotonic seconds,
    as in memory) are one moment."""
    before, time = view.status, say(now)
    resting = memory.busy.keys() | memory.failing.keys()
    held = tuple(_list_held(before, done, memory, time, hide))
    failing = tuple(_list_failing(view, done, memory, now, now_s, hide))
    watched = tuple(_list_watched(before, done, time, hide))
    down = tuple(_list_down(before, done, time, hide))
    waiting = tuple(
        WaitingUnit(one.key, say(one.until) if one.until else "", shorten(hide(one.why)))
        for one in done.waiting
        if one.key not in resting
    )
    own = {problem for problems in done.told.values() for problem in problems}
    own |= {problem for one in done.pauses if (problem := describe_pause(one))}
    paused = sum(one.waits for one in done.pauses)
    problems = make_troubles((one for one in (*done.held, *done.problems) if one not in own), hide)
    unwell = {one.unit for one in held} | {one.unit for one in failing}
    unwell |= {one.unit for one in watched} | {one.unit for one in down}
    healed = (*(HealedUnit(key, time) for key in sorted(done.healed)), *before.healed)
    applied = before.commit
    if done.is_whole and (applied.applied != done.commit or not applied.applied_at):
        applied = Commit(done.commit, done.commit, time)
    failed = before.failed_cycle
    status = replace(
        before,
        commit=replace(applied, wanted=done.commit),
        whole=done.is_whole,
        begun=0,
        counts=Counts(
            units=units,
            as_wished=max(0, units - len(unwell) - done.left - paused),
            held=len(held),
            failing=len(failing),
            watched=len(watched),
            down=len(down),
            waiting=len(waiting),
            left=done.left,
            problems=len(problems),
            paused=paused,
        ),
        rollout=_describe_turn(done.turn),
        held=held,
        failing=failing,
        watched=watched,
        down=down,
        waiting=waiting,
        problems=problems,
        healed=healed[:LONGEST_LIST],
        failed_cycle=replace(failed, until=time) if failed and not failed.until else failed,
        paused=tuple(_describe_pause(one, hide) for one in done.pauses if one.waits or one.by in SUSPENDING),
    )
    return View(status, dict(memory.failing))


def note_failed_cycle(view: View, problems: Iterable[Problem], now: datetime, hide: Hide) -> View:
    """The view after a cycle that could not read what it needs: all else is as it was."""
    spell = _extend(view.status.failed_cycle, make_troubles(problems, hide), now)
    return replace(view, status=replace(view.status, failed_cycle=spell, begun=0))


def note_git(view: View, problems: Iterable[Problem], now: datetime, hide: Hide) -> View:
    """The view while the newest commit cannot be had or used; without problems it is in use again."""
    troubles = make_troubles(problems, hide)
    spell = _extend(view.status.git, troubles, now) if troubles else None
    return replace(view, status=replace(view.status, git=spell))


def _extend(before: Spell | None, problems: tuple[Trouble, ...], now: datetime) -> Spell:
    since = before.since if before and not before.until else say(now)
    return Spell(since, "", problems)


def _describe_pause(one: Pause, hide: Hide) -> PausedScope:
    until, words = say(one.until) if one.until else "", (hide(one.why), hide(one.who))
    named = tuple(shorten(hide(name)) for name in one.named)
    return PausedScope(one.scope, one.by, *words, one.since, until, one.waits, named)


def _list_held(before: Status, done: Synced, memory: Memory, time: str, hide: Hide) -> Iterator[HeldUnit]:
    """Those of this cycle, and those that had calls a moment ago and were not asked again in it."""
    known = {one.unit: one for one in before.held}
    for key in sorted(done.held_back.keys() | memory.busy.keys()):
        last = known.get(key)
        if key not in done.held_back:
            if last:
                yield last
            continue
        kind: Hold = _find_kind(key, done)
        since = last.since if last and last.kind == kind else time
        yield HeldUnit(key, kind, shorten(hide(done.held_back[key])), since)


def _find_kind(key: str, done: Synced) -> Hold:
    if key in done.busy:
        return "calls"
    if key in done.rotating:
        return "secrets"
    turn = done.turn
    if turn.stopped:
        return "stopped"
    return "wave" if turn.wave and key not in turn.may else "wish"


def _list_failing(
    view: View, done: Synced, memory: Memory, now: datetime, now_s: float, hide: Hide
) -> Iterator[FailingUnit]:
    known = {one.unit: one for one in view.status.failing}
    for key in sorted(memory.failing.keys() | done.failed):
        last, one = known.get(key), memory.failing.get(key)
        is_new = key in done.failed or last is None or last.state != "failing"
        trouble = _find_last(done, key, hide) if is_new else None
        if trouble is None and last is None:
            trouble = Trouble("it failed before this view was begun")
        next_try = say(now + timedelta(seconds=max(0.0, one.retry_at_s - now_s))) if one else ""
        if last and last.state == "failing" and one == view.failing.get(key):
            next_try = last.next_try  # the same moment, which two clocks say a little differently
        yield FailingUnit(
            key,
            "failing",
            trouble.what if trouble else last.what if last else "",
            trouble.mend if trouble else last.mend if last else "",
            one.failures if one else 1,
            last.since if last and last.state == "failing" else say(now),
            next_try,
        )
    for key in sorted((done.gone_back | done.refused) - memory.failing.keys() - done.failed):
        last = known.get(key)
        if last and last.state == "gone-back" and key not in done.gone_back:
            yield last  # what it said when it went back tells more than that it is not tried again
        elif trouble := _find_last(done, key, hide):
            yield FailingUnit(key, "gone-back", trouble.what, trouble.mend, 1, say(now))


def _list_watched(before: Status, done: Synced, time: str, hide: Hide) -> Iterator[WatchedUnit]:
    known = {one.unit: one for one in before.watched}
    for key in sorted(done.watched):
        trouble = _find_last(done, key, hide)
        since = known[key].since if key in known else time
        yield WatchedUnit(key, trouble.what if trouble else "it was replaced just now", since)


def _list_down(before: Status, done: Synced, time: str, hide: Hide) -> Iterator[DownUnit]:
    known = {one.unit: one for one in before.down}
    for key, problem in done.why_down.items():
        [trouble] = make_troubles([problem], hide)
        since = known[key].since if key in known else time
        yield DownUnit(key, trouble.what, trouble.mend, since)


def _find_last(done: Synced, key: str, hide: Hide) -> Trouble | None:
    troubles = make_troubles(done.told.get(key, ())[-1:], hide)
    return troubles[0] if troubles else None


def _describe_turn(turn: Turn) -> Wave:
    return Wave(turn.wave, turn.waves, say(turn.until) if turn.until else "", turn.stopped)
