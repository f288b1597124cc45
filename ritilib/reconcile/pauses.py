"""What of a plan is left alone for now: suspended, outside its windows, or changed by a hand that is let be.

Of a unit that is suspended, only its overlay certificate is renewed, and only where that brings nothing else along.
Outside its windows nothing that Git changed is applied, but what was applied is kept so: a repair brings back what
somebody reviewed, and telephones that a hand broke should not wait for a Sunday. Only where a repair would bring a
change of Git along, it waits too; except where nothing runs any more that a change could disturb. Where hands are let
be, what Git changed is applied, and the rest stays as they left it.

What was begun is finished, since half of it is neither: a replaced PBX is judged, and goes back where it is bad, also
while it is suspended (sync.follow). A unit that a sync left in the middle is finished outside its windows too, where
Git has not moved on since; one that is suspended is not tried again, and takes calls (sync.unit.door).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from ritilib.errors import Problem
from ritilib.fleet.suspended import list_paths
from ritilib.reconcile.plan import UNFINISHED, Cause, Change, Paused, Plan, is_due, make_change
from ritilib.reconcile.state import Observed, Record
from ritilib.reconcile.suspensions import (
    SUSPENDING,
    Pause,
    Suspension,
    describe_scope,
    find_suspension,
    list_scopes,
    write_command,
)
from ritilib.reconcile.windows import find_next, is_inside
from ritilib.reconcile.wording import count
from ritilib.render.rules import SyncRules, Windows

# A certificate is due when a third of its 30 days is over, or up to 3 days earlier (sync.unit.secrets).
CERTIFICATE_LEFT = timedelta(days=20)
SHOWN = 3  # units that are named where many wait
_EVERYTHING: frozenset[Cause] = frozenset({"git", "drift", "time"})
_NOBODY = SyncRules()

Rules = Mapping[str, SyncRules]  # of a company, and of the fleet ("")


def find_rules(key: str, rules: Rules) -> SyncRules:
    """What holds for a unit that no manifest names: what its company's says, or the fleet's."""
    return rules.get(key.split("/")[0], rules.get("", _NOBODY))


def hold_paused(plan: Plan, rules: Rules, observed: Observed, commit: str, going: Iterable[str] = ()) -> Plan:
    """The plan with the changes that may be made now, some of them in part, and in `paused` what is left alone.

    rules are the commit's; going are units that no manifest names and that are suspended.
    """
    keeper = _Keeper(rules, observed, commit)
    changes = [kept for change in plan.changes if (kept := keeper.keep(change))]
    for key in going:
        keeper.note_suspended(key, "in no manifest")
    return replace(plan, changes=tuple(changes), paused=keeper.sum_up(plan))


def limit_change(change: Change, causes: Set[Cause]) -> Change | None:
    """What of a change is written where only these causes count; None where that is nothing.

    A renewed certificate writes the dial plan and peers, to name its version, and a job that is put back is judged by
    them: so neither is done where these must stay as they are. What Git changes in the job or in the secrets brings
    them along.
    """
    kept = [why for why in change.whys if why.cause in causes]
    live = next((why for why in change.whys if why.part == "live" and why not in kept), None)
    if live and any(why.cause == "git" and why.part in ("secrets", "job", "links") for why in kept):
        kept.append(live)
    elif live:
        kept = [why for why in kept if why.part == "policies"]
    if len(kept) == len(change.whys):
        return change
    whys = tuple(why for why in change.whys if why in kept)
    return make_change(change.wish, whys, change.is_drift, is_partial=True) if whys else None


def describe_paused(paused: Paused) -> list[Problem]:
    """What a person should see of all that is left alone: a line for each pause for which something waits."""
    return [*filter(None, map(describe_pause, paused.pauses)), *paused.overdue]


def describe_pause(pause: Pause) -> Problem | None:
    """What a person should see of it; None where nothing waits, and nobody needs to do anything."""
    scope, units = describe_scope(pause.scope), count(pause.waits, "unit")
    some = ", ".join(pause.named) + (", …" if pause.waits > len(pause.named) else "")
    until = f" until {pause.until:%Y-%m-%d %H:%M} UTC" if pause.until else ""
    if pause.by == "command" and not pause.covers:
        what = f"{scope} is suspended, and no unit is called so ({pause.why})"
        return Problem("", 0, 0, what, f"`{write_command('resume', pause.scope)}`")
    if not pause.waits:
        return None
    if pause.by in SUSPENDING:
        by = f" by {pause.who} since {pause.since}" if pause.who else ""
        what = f"{scope} is suspended{until}{by} ({pause.why}), and {units} of it wait: {some}"
        mend = f"`{write_command('resume', pause.scope)}` lifts it"
        if pause.by == "git":
            mend = f"take `sync.suspended` out of {list_paths(pause.scope)[-1]}, render and merge"
        return Problem("", 0, 0, what, mend)
    if pause.by == "window":
        what = f"{units} of {scope} wait for a window of `sync.windows`{until}: {some}"
        return Problem(
            "", 0, 0, what, "wait, or merge another window; what hands change is put back meanwhile"
        )
    what = f"{units} of {scope} were changed by hand, and are left so (`self_heal: false`): {some}"
    return Problem("", 0, 0, what, "put them right by hand, merge what they are to be, or `self_heal: true`")


@dataclass
class _Keeper:
    """Judges one change after the other, and remembers what waits for what."""

    rules: Rules
    observed: Observed
    commit: str
    # a pause without its counts → unit → why
    _waiting: dict[Pause, dict[str, str]] = field(default_factory=dict)
    _unfinished: list[Change] = field(default_factory=list)
    _overdue: dict[str, datetime] = field(default_factory=dict)
    _openings: dict[Windows, datetime | None] = field(default_factory=dict)

    @cached_property
    def _in_force(self) -> list[Suspension]:
        return [one for one in self.observed.suspensions if one.is_in_force(self.observed.now)]

    def keep(self, change: Change) -> Change | None:
        """What of the change is to be made."""
        record = self.observed.records.get(change.key)
        rules = change.wish.sync
        pause = self._find_suspending(change.key, rules)
        causes: Set[Cause] = {"time"}
        if not pause:
            causes = _EVERYTHING if rules.self_heal else _EVERYTHING - {"drift"}
            if rules.windows and not is_inside(rules.windows, self.observed.now):
                pause = Pause(
                    change.wish.names.company, "window", "", until=self._find_opening(rules.windows)
                )
                causes = causes if self._may_finish(change, record) else causes - {"git"}
        kept = limit_change(change, causes)
        if kept == change:
            return change
        self._note(change, kept, pause)
        return kept

    def note_suspended(self, key: str, why: str) -> None:
        """A unit without a change that waits until it is suspended no more."""
        pause = self._find_suspending(key, find_rules(key, self.rules))
        if pause:
            self._waiting.setdefault(pause, {})[key] = why

    def sum_up(self, plan: Plan) -> Paused:
        """All that is left alone, the widest first."""
        pauses = dict.fromkeys([*map(_of_command, self._in_force), *self._list_git(plan), *self._waiting])
        keys = {wish.names.key for wish in plan.wishes} | self.observed.records.keys() if pauses else ()
        covers = _count_scopes(keys)
        folded = [self._fold(pause, covers.get(pause.scope, 0)) for pause in pauses]
        ends = [one.until for one in folded if one.until and one.until > self.observed.now]
        return Paused(
            tuple(sorted(folded, key=lambda one: (one.scope, one.by, str(one.until), one.why))),
            frozenset(key for waiting in self._waiting.values() for key in waiting),
            tuple(change.wish for change in self._unfinished),
            self._describe_overdue(),
            tuple(one.fault for one in self.observed.suspensions if one.fault),
            min(ends, default=None),
        )

    def _find_suspending(self, key: str, rules: SyncRules) -> Pause | None:
        """By what the unit is suspended: the widest scope, and of the same one the command."""
        command = find_suspension(key, self._in_force, self.observed.now)
        scope = self._find_scope(key, rules)
        if rules.suspended and (command is None or len(command.scope) > len(scope)):
            return Pause(scope, "git", rules.suspended)
        return _of_command(command) if command else None

    def _find_scope(self, key: str, rules: SyncRules) -> str:
        """The widest scope that Git suspends in these words."""
        for scope in list_scopes(key)[:2]:
            if scope in self.rules and self.rules[scope].suspended == rules.suspended:
                return scope
        return key

    def _find_opening(self, windows: Windows) -> datetime | None:
        """When the next one begins: found once for all units that have them, since that is slow."""
        if windows not in self._openings:
            self._openings[windows] = find_next(windows, self.observed.now)
        return self._openings[windows]

    def _may_finish(self, change: Change, record: Record | None) -> bool:
        """Whether a change of Git may be made outside the windows: it was begun, or nothing runs at all."""
        if record and UNFINISHED in change.reasons:
            return record.commit == self.commit
        job = next((why for why in change.whys if why.part == "job"), None)
        return bool(job and job.cause == "drift" and not change.is_drift)

    def _note(self, change: Change, kept: Change | None, pause: Pause | None) -> None:
        left = [why for why in change.whys if kept is None or why not in kept.whys]
        if pause is None or (pause.by == "window" and all(why.cause == "drift" for why in left)):
            pause = Pause(change.wish.names.company, "hand", "")
        reasons = ", ".join(dict.fromkeys(why.reason for why in left))
        self._waiting.setdefault(pause, {})[change.key] = reasons
        record = self.observed.records.get(change.key)
        if record is None:
            return
        if record.state == "applying" and kept is None:
            self._unfinished.append(change)
        if is_due(record, self.observed.now) and not (kept and kept.secrets):
            self._overdue[change.key] = datetime.fromisoformat(record.renew_at)

    def _list_git(self, plan: Plan) -> Iterable[Pause]:
        """What Git suspends, also where nothing waits for it."""
        for scope, rules in self.rules.items():
            above = self.rules.get("") if scope else None
            if rules.suspended and not (above and above.suspended == rules.suspended):
                yield Pause(scope, "git", rules.suspended)
        for wish in plan.wishes:
            if wish.sync.suspended and self._find_scope(wish.names.key, wish.sync) == wish.names.key:
                yield Pause(wish.names.key, "git", wish.sync.suspended)

    def _fold(self, pause: Pause, covers: int) -> Pause:
        waiting = self._waiting.get(pause, {})
        # what a hand broke first: it may be what somebody looks for
        order = sorted(waiting, key=lambda key: ("drift:" not in waiting[key], key))
        named = tuple(f"{key} ({waiting[key]})" for key in order[:SHOWN])
        return replace(pause, covers=covers, waits=len(waiting), named=named)

    def _describe_overdue(self) -> tuple[Problem, ...]:
        """One warning for all."""
        if not self._overdue:
            return ()
        order = sorted(self._overdue, key=lambda key: (self._overdue[key], key))
        first = self._overdue[order[0]]
        some = ", ".join(order[:SHOWN]) + (", …" if len(order) > SHOWN else "")
        what = (
            f"{len(order)} overlay certificates are due since {first:%Y-%m-%d %H:%M} UTC and not renewed, since a "
            f"change waits with them: {some}"
        )
        mend = (
            f"let the change be made before {first + CERTIFICATE_LEFT:%Y-%m-%d}, or take it back: "
            "without a certificate a PBX reaches no office"
        )
        return (Problem("", 0, 0, what, mend, severity="warning"),)


def _of_command(suspension: Suspension) -> Pause:
    said = suspension
    return Pause(said.scope, "command", said.why, said.who, said.since, said.ends)


def _count_scopes(keys: Iterable[str]) -> dict[str, int]:
    """scope → how many units it covers."""
    found: dict[str, int] = {}
    for key in keys:
        for scope in list_scopes(key):
            found[scope] = found.get(scope, 0) + 1
    return found
