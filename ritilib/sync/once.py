"""One cycle of the controller, whole: read, decide, write, watch it come up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import GitopsError, LeadershipLost, Problem, RitiError
from ritilib.gitops.desired import Desired
from ritilib.reconcile.authority import TIMING, Timing, find_next_turn
from ritilib.reconcile.down import find_down
from ritilib.reconcile.lost import LOST_AFTER
from ritilib.reconcile.pauses import describe_paused
from ritilib.reconcile.plan import Change, Paused, Plan
from ritilib.reconcile.prune import Removals, Waiting, keep_revoked, wait_for_company
from ritilib.reconcile.restarts import NOTHING_KNOWN, Restarts, keep_known, note_asked
from ritilib.reconcile.rollout import Turn
from ritilib.reconcile.state import FleetRecord, Record, hash_text
from ritilib.reconcile.windows import is_inside
from ritilib.render.names import UnitNames
from ritilib.sync.crew import Work
from ritilib.sync.follow import open_doors, settle_earlier, watch_deployments
from ritilib.sync.heap import pause_collector
from ritilib.sync.images import Rolled, roll_images
from ritilib.sync.lost import give_up_lost
from ritilib.sync.observe import Places, Seen
from ritilib.sync.overlay.rotation import Rotated, rotate_authority
from ritilib.sync.planned import plan_once
from ritilib.sync.prune import Newest, Pruned, prune, write_notes
from ritilib.sync.rotate import choose_generations
from ritilib.sync.synced import Synced
from ritilib.sync.troubles import Troubles
from ritilib.sync.turn import choose_turn
from ritilib.sync.turns import Healed, heal_turns, may_be_lost
from ritilib.sync.unit.apply import Leave, Outcome, Servers, apply_change
from ritilib.sync.unit.settle import describe_refused


def read_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def sync_once(
    desired: Desired,
    servers: Servers,
    may_replace: Collection[str],
    report: Callable[[str], None],
    wait: bool = True,
    newest: Newest | None = None,
    clock: Callable[[], datetime] = read_clock,
    floor: int = 0,
    busy: Set[str] = frozenset(),
    restarts: Restarts = NOTHING_KNOWN,
    not_due: Mapping[str, datetime] = {},
    go_on: Callable[[], bool] = lambda: True,
    crew: Collection[Servers] = (),
    timing: Timing = TIMING,
    lost_after: timedelta = LOST_AFTER,
    look_at_turns: bool = False,
    images: Rolled | None = None,
) -> Synced:
    """Make Nomad, Consul and Vault equal to one merged commit.

    A running task is replaced in its wave and without a call, or in its window; that of the units that may_replace
    names ("acme/montevideo") at once. wait: stay until Nomad has judged the deployments that this started. A unit that
    fails leaves the others alone and is in the result's problems, as is a server that goes away meanwhile. What no
    manifest names is stopped last, and only where nothing went wrong before; without newest nothing is stopped or
    purged at all, since the newest commit could not be looked at again. clock tells the time; floor, busy and restarts
    are inventory_index, busy and restarts of this process's cycle before. not_due are units that are left alone until a
    time, and for which no wave waits; go_on is asked before each unit whether it shall still be begun. crew are more
    clients of the same servers: with each, one more unit is applied at the same time. timing is that of the overlay's
    authorities, which go one step further, where another is wished, after all else. A PBX whose host has been away from
    Nomad's servers for lost_after gets another. look_at_turns: have every PBX's key say which instance is reached, also
    where nothing that is read shows that Consul lost one. images is what the cycle before knew of boxes'
    images. Raises what reading raises: then nothing was written; and LeadershipLost, where another controller may write
    by now: what was begun stands in the inventory.
    """
    plan, removals, seen = plan_once(desired, servers.nomad, servers.consul, clock(), floor)
    _refuse_unknown(may_replace, desired)
    held = [problem for _, problem in desired.held]
    seen, unwritten = write_notes(removals.resets, seen, desired.fleet, servers)
    refused = describe_refused(plan.refused, seen.observed.records, seen.observed.now)
    troubles = Troubles([*plan.conflicts, *plan.paused.faults, *refused, *unwritten])
    for wish, problem in zip(plan.refused, refused, strict=True):
        troubles.tell(wish.names.key, problem)
    problems = troubles.problems
    now = seen.observed.now
    records, indexes = settle_earlier(plan, seen, servers, not_due, go_on, troubles)
    turn = choose_turn(desired, plan, records, seen.observed.jobs, busy | not_due.keys(), now)
    open_doors(plan.paused.unfinished, seen.observed.live_keys, servers.consul, troubles)
    owner, fleet_index = seen.observed.fleet, seen.fleet_index
    if owner is None:
        owner = FleetRecord(desired.fleet_id, desired.root_commit)
        fleet_index = servers.consul.write(Places(desired.fleet).fleet_record, owner.to_bytes(), 0)
    elif seen.observed.rewound and owner.live_index:
        # the recorded index is of a state that is no more; forgotten, it suspends no second cycle
        owner = replace(owner, live_index=0)
        fleet_index = servers.consul.write(Places(desired.fleet).fleet_record, owner.to_bytes(), fleet_index)
    skipped = [change.key for change in plan.changes if change.key in not_due]
    gone_back = {  # just now
        change.key
        for change in plan.changes
        if change.job and (record := records.get(change.key)) and record.refuses(change.wish)
    }
    wanted = [change for change in plan.changes if change.key not in gone_back | not_due.keys()]
    rotation = choose_generations(
        wanted, plan.wishes, seen.observed.jobs, records, servers.nomad, servers.consul
    )
    changes = rotation.changes
    for key, why in rotation.waits.items():
        mend = "it goes on by itself, at a later sync; an office that is no more: `riti box remove`"
        held.append(Problem("", 0, 0, f"{key} keeps the secrets of its links for now: {why}", mend))
        troubles.tell(key, held[-1])

    known = keep_known(restarts, plan.changes, seen.observed.jobs)
    leaves = {change.key: _give_leave(change, turn, change.key in may_replace, now) for change in changes}
    begun = [one for one in changes if one.key not in known or leaves[one.key].when != "never"]
    if any(change.secrets or change.policies for change in begun):
        # Vault is needed now, and at the latest when certificates are due, which is well within the token's period.
        servers.vault.renew_token()

    def attempt(change: Change, through: Servers) -> Outcome:
        record, index = records.get(change.key), indexes.get(change.key, 0)
        leave = leaves[change.key]
        # what is brought back, or goes on, is what an earlier commit had brought
        commit = record.commit if record and change.is_partial else desired.commit
        # a part that is not to rotate is written with what the links hold
        given = None if change.is_partial and not change.rotates else rotation.given.get(change.key)
        live = seen.observed.jobs.get(change.wish.names.job_id)
        restart = known.get(change.key)
        return apply_change(
            change, desired.fleet_id, commit, record, index, through, now, leave, given, live, restart
        )

    with pause_collector():
        down = find_down(
            plan.wishes, seen.observed.jobs, troubles.watched | {change.key for change in plan.changes}
        )
    healed = Healed()
    if look_at_turns or may_be_lost(plan, seen.observed):
        # before another instance is placed, which counts on from there
        healed = heal_turns(
            desired.fleet,
            desired.fleet_id,
            seen.observed,
            servers.nomad,
            servers.consul,
            go_on,
            report,
            troubles,
        )
    lost_until = give_up_lost(plan, seen.observed, servers.nomad, lost_after, go_on, report, troubles)
    outcomes: list[Outcome] = []
    left = len(changes)
    for change, found in Work(changes, attempt, go_on, report).do((servers, *crew)):
        left -= 1
        if isinstance(found, RitiError):
            troubles.note(change.key, found)  # what the unit lacks stands in its intent
            continue
        outcomes.append(found)
        if found.held:
            mend = f"sync again later; with `riti sync --once --replace {change.key}` it takes no new call, and ends"
            held.append(Problem("", 0, 0, f"{change.key} is held back: {found.held}", mend))
            troubles.tell(change.key, held[-1])
    values = {key: record.values for key, record in records.items()}
    values |= {outcome.key: outcome.values for outcome in outcomes}
    if wait:
        values |= watch_deployments(outcomes, plan.wishes, servers, report, clock, troubles)
    else:
        troubles.watched |= {outcome.key for outcome in outcomes if outcome.record}
    is_done = not (problems or left or skipped or any(outcome.held for outcome in outcomes))
    is_urgent = any(one.key in removals.revoked for one in removals.stops)
    if newest and (is_done or is_urgent):
        postponed = [] if is_done else _postpone(removals, "this sync did not bring all else to its wish")
        removals = wait_for_company(removals, plan.paused.units) if is_done else keep_revoked(removals)
        pruned = prune(removals, desired, seen, newest, servers, clock, report)
        waiting = [*removals.waits, *pruned.waits] if is_done else [*postponed, *pruned.waits]
        waiting = [one for one in waiting if one.key not in pruned.stopped]
    else:
        why = (
            "this sync did not bring all else to its wish"
            if newest
            else "the newest commit cannot be looked at"
        )
        pruned, waiting = Pruned(), _postpone(removals, why)
    waiting += [Waiting(key, not_due[key], "it is tried again then") for key in skipped]
    has_written = records != seen.observed.records or not all(one.is_untouched for one in outcomes)
    has_moved = has_written or plan.live_index_moved or pruned.stopped or pruned.waits
    if has_moved and not (troubles.failed or left or pruned.problems or desired.held):
        _note_index(desired.fleet, plan, values, owner, fleet_index, servers.consul)
    rotated = _rotate_authority(desired, seen, servers, clock(), timing, report, problems)
    rolled = _roll_images(desired, seen, servers, clock(), go_on, report, images, problems)
    due = _find_due(desired, records, turn, waiting, plan.paused, lost_until, now)
    turns = find_next_turn(seen.observed.authority, records.keys(), now)
    moments = [one for one in (due, turns, rotated.again if rotated else None, rolled.due) if one]
    return Synced(
        desired.commit,
        changed=tuple(outcome.key for outcome in outcomes if not outcome.held),
        held=(*held, *removals.held, *describe_paused(plan.paused), *rolled.held),
        problems=(*problems, *removals.conflicts, *pruned.problems),
        unchanged=plan.unchanged,
        stopped=pruned.stopped,
        purged=pruned.purged,
        waiting=tuple(sorted(waiting, key=lambda one: one.key)),
        inventory_index=seen.inventory_index,
        busy=frozenset(outcome.key for outcome in outcomes if outcome.busy),
        failed=frozenset(troubles.failed),
        denied=frozenset(troubles.denied),
        watched=frozenset(troubles.watched),
        rotating=frozenset(rotation.waits),
        down=tuple(down.values()),
        healed=_find_healed(plan.changes, outcomes) | healed.units,
        images=rolled,
        turns_left=not healed.is_whole,
        left=left,
        due=min(moments, default=None),
        turn=turn,
        held_back={**rotation.waits, **{outcome.key: outcome.held for outcome in outcomes if outcome.held}},
        told={key: tuple(problems) for key, problems in troubles.told.items()},
        gone_back=frozenset(troubles.gone_back),
        refused=frozenset(wish.names.key for wish in plan.refused),
        down_units=tuple(down),
        pauses=plan.paused.pauses,
        restarts=note_asked(known, {outcome.key: outcome.restart for outcome in outcomes}),
    )


def _rotate_authority(
    desired: Desired,
    seen: Seen,
    servers: Servers,
    now: datetime,
    timing: Timing,
    report: Callable[[str], None],
    problems: list[Problem],
) -> Rotated | None:
    """One step of the overlay's authorities; what goes wrong with it leaves the units alone, and is a problem."""
    try:
        rotated = rotate_authority(desired, seen, seen.observed.records, servers, now, timing)
    except LeadershipLost:
        raise
    except RitiError as error:
        problems += error.problems
        return None
    if rotated.said:
        report(f"overlay: {rotated.said}")
    return rotated


def _roll_images(
    desired: Desired,
    seen: Seen,
    servers: Servers,
    now: datetime,
    go_on: Callable[[], bool],
    report: Callable[[str], None],
    before: Rolled | None,
    problems: list[Problem],
) -> Rolled:
    """One look at the boxes' images; what goes wrong with it leaves the units alone, and is a problem."""
    suspensions = seen.observed.suspensions
    try:
        rolled = roll_images(desired, suspensions, servers.consul, now, go_on, report, before)
    except LeadershipLost:
        raise
    except RitiError as error:
        problems += error.problems
        return Rolled(desired.commit)
    problems += rolled.problems
    return rolled


def _postpone(removals: Removals, why: str) -> list[Waiting]:
    """What waits where nothing is marked, stopped or purged."""
    unmarked = {note.key for note in removals.marks}
    waiting = [replace(one, until=None, why=why) if one.key in unmarked else one for one in removals.waits]
    going = [one.key for one in removals.stops] + [one.key for one in removals.purges]
    return waiting + [Waiting(key, None, why) for key in going]


def _find_healed(changes: Iterable[Change], outcomes: Iterable[Outcome]) -> frozenset[str]:
    written = {outcome.key for outcome in outcomes if not outcome.held}
    return frozenset(
        change.key
        for change in changes
        if change.key in written and any(why.startswith("drift:") for why in change.reasons)
    )


def _find_due(
    desired: Desired,
    records: Mapping[str, Record],
    turn: Turn,
    waiting: Iterable[Waiting],
    paused: Paused,
    lost_until: datetime | None,
    now: datetime,
) -> datetime | None:
    """The next moment of a wave, the end of a grace period or of a pause, a certificate's renewal, or that of a PBX
    that is given up with its host; None: there is none."""
    kept = (records[unit.key] for unit in desired.units if unit.key in records)
    moments = [datetime.fromisoformat(record.renew_at) for record in kept if record.renew_at]
    moments += [one.until for one in waiting if one.until]
    moments += [one for one in (turn.until, paused.due, lost_until) if one]
    return min((one for one in moments if one > now), default=None)


def _refuse_unknown(may_replace: Collection[str], desired: Desired) -> None:
    known = {unit.key for unit in desired.units}
    unknown = [
        Problem("", 0, 0, f"there is no unit {key} to replace", f"name one of: {', '.join(sorted(known))}")
        for key in sorted(set(may_replace) - known)
    ]
    if unknown:
        raise GitopsError(unknown)


def _note_index(
    fleet: str,
    plan: Plan,
    wanted: Mapping[str, tuple[str, str]],
    owner: FleetRecord,
    fleet_index: int,
    consul: ConsulClient,
) -> None:
    """Remember the index below which every value is as recorded, so that the next cycle need not read them.

    wanted: unit → its values, as in Record. One that is left as a hand made it is remembered by its unit.

    The values are read once more for it: our own writes move the index too, and would hide another's among them.
    """
    places = Places(fleet)
    index, values = consul.fold_tree(places.live, lambda entry: hash_text(entry.value))

    def is_changed(names: UnitNames) -> bool:
        value, box = wanted.get(names.key, (None, ""))
        return values.get(names.kv_key) != value or bool(box and values.get(names.box_kv_key) != box)

    drifted = {wish.names.key for wish in plan.wishes if is_changed(wish.names)}
    noted = replace(owner, live_index=index, drifted=tuple(sorted(drifted)))
    if drifted <= plan.paused.units and noted != owner:
        consul.write(places.fleet_record, noted.to_bytes(), fleet_index)


def _give_leave(change: Change, turn: Turn, at_once: bool, now: datetime) -> Leave:
    if at_once:
        return Leave("always")
    if change.is_drift or change.key in turn.may:
        windows = change.wish.windows
        return Leave("always" if windows and is_inside(windows, now) else "idle")
    if turn.stopped:
        return Leave("never", f"its rollout has stopped: {turn.stopped}")
    until = f", not before {turn.until:%H:%M} UTC" if turn.until else ""
    return Leave("never", f"its wave comes after wave {turn.wave} of {turn.waves}{until}")
