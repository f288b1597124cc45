"""One cycle of the controller, whole: read, decide, write, watch it come up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.settings import Settings
from ritilib.clients.vault import Vault
from ritilib.errors import GitopsError, LeadershipLost, Problem, RitiError, Unreachable
from ritilib.gitops.desired import Desired
from ritilib.reconcile.plan import Change, Plan, make_plan
from ritilib.reconcile.prune import Removals, Waiting, decide_removals
from ritilib.reconcile.rollout import Turn
from ritilib.reconcile.state import NEEDED_FILES, FleetRecord, Record, Wish, hash_text
from ritilib.reconcile.windows import is_inside
from ritilib.render.names import UnitNames
from ritilib.sync.apply import Leave, Outcome, Servers, apply_change
from ritilib.sync.crew import Work
from ritilib.sync.last_good import go_back
from ritilib.sync.observe import Places, Seen, observe
from ritilib.sync.prune import Newest, Pruned, prune, take_census, write_notes
from ritilib.sync.secrets import read_authority
from ritilib.sync.settle import describe_refused, settle_unit
from ritilib.sync.troubles import Troubles
from ritilib.sync.turn import choose_turn

DEPLOYMENT_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Synced:
    """What a cycle did: units written, units that wait, and every problem that a person should see.

    waiting: units that are left as they are, and until when: those that no manifest names, and those that are not due.
    inventory_index is the floor of the next cycle of this process, busy its units that wait for their calls to end.
    failed: units with which something went wrong, denied those of them that a server denied; watched: replaced, and
    not judged yet; healed: put back after somebody else had changed them. left: how many were not tried, since the
    cycle was to end or a server was away. due: when time alone makes something be done.
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
    healed: frozenset[str] = frozenset()
    left: int = 0
    due: datetime | None = None

    @property
    def is_clean(self) -> bool:
        return not (self.held or self.problems)


def read_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def list_wishes(desired: Desired) -> tuple[Wish, ...]:
    """The units that the merged commit wants, those of held companies left out.

    Raises GitopsError naming every file that a unit needs and its manifest does not list.
    """
    missing = [
        Problem(f"{unit.key}/{name}", 0, 0, "is in no manifest", "render again with this version of RITI")
        for unit in desired.units
        for name in NEEDED_FILES
        if name not in unit.files
    ]
    if missing:
        raise GitopsError(missing)
    return tuple(
        Wish(UnitNames(desired.fleet, *unit.key.split("/")), unit.files, unit.canary, unit.windows)
        for unit in desired.units
    )


def plan_once(
    desired: Desired, nomad: NomadClient, consul: ConsulClient, now: datetime | None = None, floor: int = 0
) -> tuple[Plan, Removals, Seen]:
    """What a sync would do now (None: the time of this machine); floor as observe has it.

    Raises GitopsError where another repository owns this fleet's name.
    """
    seen = observe(desired.fleet, nomad, consul, now or datetime.now(UTC), floor)
    owner = seen.observed.fleet
    if owner and (owner.fleet_id, owner.root_commit) != (desired.fleet_id, desired.root_commit):
        what = f"fleet `{desired.fleet}` on these servers belongs to another repository (root {owner.root_commit[:12]})"
        raise GitopsError.because(what, "sync from that repository, or give this fleet another name")
    plan = make_plan(list_wishes(desired), desired.fleet_id, seen.observed)
    return plan, decide_removals(take_census(desired), seen.observed), seen


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
    not_due: Mapping[str, datetime] = {},
    go_on: Callable[[], bool] = lambda: True,
    crew: Collection[Servers] = (),
) -> Synced:
    """Make Nomad, Consul and Vault equal to one merged commit.

    A running task is replaced in its wave and without a call, or in its window; that of the units that may_replace
    names ("acme/montevideo") at once. wait: stay until Nomad has judged the deployments that this started. A unit that
    fails leaves the others alone and is in the result's problems, as is a server that goes away meanwhile. What no
    manifest names is stopped last, and only where nothing went wrong before; without newest nothing is stopped or
    purged at all, since the newest commit could not be looked at again. clock tells the time; floor and busy are the
    inventory_index and busy of this process's cycle before. not_due are units that are left alone until a time, and for
    which no wave waits; go_on is asked before each unit whether it shall still be begun. crew are more clients of the
    same servers: with each, one more unit is applied at the same time. Raises what reading raises: then nothing was
    written; and LeadershipLost, where another controller may write by now: what was begun stands in the inventory.
    """
    plan, removals, seen = plan_once(desired, servers.nomad, servers.consul, clock(), floor)
    _refuse_unknown(may_replace, desired)
    held = [problem for _, problem in desired.held]
    seen, unwritten = write_notes(removals.resets, seen, desired.fleet, servers)
    troubles = Troubles([*plan.conflicts, *describe_refused(plan.refused), *unwritten])
    problems = troubles.problems
    now = seen.observed.now
    records, indexes = _settle_earlier(plan, seen, servers, not_due, go_on, troubles)
    turn = choose_turn(desired, plan, records, seen.observed.jobs, busy | not_due.keys(), now)
    owner, fleet_index = seen.observed.fleet, seen.fleet_index
    if owner is None:
        owner = FleetRecord(desired.fleet_id, desired.root_commit)
        fleet_index = servers.consul.write(Places(desired.fleet).fleet_record, owner.to_bytes(), 0)
    elif seen.observed.rewound and owner.live_index:
        # the recorded index is of a state that is no more; forgotten, it suspends no second cycle
        owner = replace(owner, live_index=0)
        fleet_index = servers.consul.write(Places(desired.fleet).fleet_record, owner.to_bytes(), fleet_index)
    if any(change.secrets or change.policies for change in plan.changes):
        # Vault is needed now, and at the latest when certificates are due, which is well within the token's period.
        servers.vault.renew_token()
    skipped = [change.key for change in plan.changes if change.key in not_due]
    gone_back = {  # just now
        change.key
        for change in plan.changes
        if (record := records.get(change.key)) and record.refuses(change.wish)
    }
    changes = [change for change in plan.changes if change.key not in gone_back | not_due.keys()]

    def attempt(change: Change, through: Servers) -> Outcome:
        record, index = records.get(change.key), indexes.get(change.key, 0)
        leave = _give_leave(change, turn, change.key in may_replace, now)
        return apply_change(change, desired.fleet_id, desired.commit, record, index, through, now, leave)

    outcomes: list[Outcome] = []
    left = len(changes)
    for change, found in Work(changes, attempt, go_on, report).do((servers, *crew)):
        left -= 1
        if isinstance(found, RitiError):
            troubles.note(change.key, found)  # what the unit lacks stands in its intent
            continue
        outcomes.append(found)
        if found.held:
            mend = f"sync again later; `riti sync --once --replace {change.key}` cuts its calls"
            held.append(Problem("", 0, 0, f"{change.key} is held back: {found.held}", mend))
    values = {key: record.value for key, record in records.items()}
    values |= {outcome.key: outcome.value for outcome in outcomes}
    if wait:
        values |= _watch(outcomes, plan.wishes, servers, report, clock, troubles)
    else:
        troubles.watched |= {outcome.key for outcome in outcomes if outcome.record}
    is_done = not (problems or left or skipped or any(outcome.held for outcome in outcomes))
    if newest and is_done:
        pruned = prune(removals, desired, seen, newest, servers, clock, report)
        waiting = [*removals.waits, *pruned.waits]
    else:
        why = (
            "this sync did not bring all else to its wish"
            if newest
            else "the newest commit cannot be looked at"
        )
        pruned, waiting = Pruned(), _postpone(removals, why)
    waiting += [Waiting(key, not_due[key], "it is tried again then") for key in skipped]
    has_moved = plan.changes or plan.live_index_moved or pruned.stopped or pruned.waits
    if has_moved and not (troubles.failed or left or pruned.problems or desired.held):
        _note_index(desired.fleet, plan.wishes, values, owner, fleet_index, servers.consul)
    return Synced(
        desired.commit,
        changed=tuple(outcome.key for outcome in outcomes if not outcome.held),
        held=(*held, *removals.held),
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
        healed=_find_healed(plan.changes, outcomes),
        left=left,
        due=_find_due(desired, records, turn, waiting, now),
    )


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
    now: datetime,
) -> datetime | None:
    """The next moment of a wave, the end of a grace period, or of a certificate's renewal; None where there is none."""
    kept = (records[unit.key] for unit in desired.units if unit.key in records)
    moments = [datetime.fromisoformat(record.renew_at) for record in kept if record.renew_at]
    moments += [one.until for one in waiting if one.until]
    moments += [turn.until] if turn.until else []
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
    wishes: Iterable[Wish],
    wanted: Mapping[str, str],
    owner: FleetRecord,
    fleet_index: int,
    consul: ConsulClient,
) -> None:
    """Remember the index below which every value is as recorded, so that the next cycle need not read them.

    wanted: unit → SHA-256 of its value.

    The values are read once more for it: our own writes move the index too, and would hide another's among them.
    """
    places = Places(fleet)
    tree = consul.read_tree(places.live)
    values = {entry.key: hash_text(entry.value) for entry in tree.entries}
    as_recorded = all(values.get(wish.names.kv_key) == wanted.get(wish.names.key) for wish in wishes)
    if as_recorded and owner.live_index != tree.index:
        consul.write(places.fleet_record, replace(owner, live_index=tree.index).to_bytes(), fleet_index)


def _settle_earlier(
    plan: Plan,
    seen: Seen,
    servers: Servers,
    not_due: Mapping[str, datetime],
    go_on: Callable[[], bool],
    troubles: Troubles,
) -> tuple[dict[str, Record], dict[str, int]]:
    """The inventory's entries and indexes, after what earlier cycles have replaced is judged; troubles are added to."""
    records, indexes, now = dict(seen.observed.records), dict(seen.record_indexes), seen.observed.now
    refused = {wish.names.key for wish in plan.refused}
    for wish in plan.wishes:
        key = wish.names.key
        record = records.get(key)
        if record is None or key in not_due or (key in refused) != (record.state == "applying"):
            continue
        if not go_on():
            break
        try:
            if key in refused:
                # a controller that ended in the middle of it had begun
                records[key], indexes[key] = go_back(
                    wish, record, indexes[key], servers.nomad, servers.consul, now
                )
            elif record.replaced_at and not record.judged and record.job == hash_text(wish.job):
                settled = settle_unit(wish, record, indexes[key], servers, now, 0.0)
                records[key], indexes[key] = settled.record, settled.index
                troubles.note_settled(key, settled)
        except LeadershipLost:
            raise
        except RitiError as error:
            troubles.note(key, error)
            if isinstance(error, Unreachable):
                break  # the others would wait as long, and are not judged yet
    return records, indexes


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


def _watch(
    outcomes: list[Outcome],
    wished: Iterable[Wish],
    servers: Servers,
    report: Callable[[str], None],
    clock: Callable[[], datetime],
    troubles: Troubles,
) -> dict[str, str]:
    """Wait for the deployments that were started: unit → SHA-256 of its value, where it was judged and that changed.

    A problem is added for each that does not become healthy.
    """
    values: dict[str, str] = {}
    wishes = {wish.names.key: wish for wish in wished}
    for outcome in outcomes:
        if outcome.registered_index is None:
            continue
        wish = wishes[outcome.key]
        report(f"{outcome.key}: waiting until Nomad calls its deployment healthy")
        try:
            if outcome.record:
                settled = settle_unit(
                    wish, outcome.record, outcome.index, servers, clock(), DEPLOYMENT_TIMEOUT_S
                )
                values[outcome.key] = settled.record.value
                troubles.note_settled(outcome.key, settled)
                continue
            deployment = servers.nomad.wait_deployed(
                wish.names.job_id, outcome.registered_index, DEPLOYMENT_TIMEOUT_S
            )
        except RitiError as error:  # what the cycle wrote and found is told all the same
            troubles.note(outcome.key, error)
            continue
        if deployment.status != "successful":
            what = f"{outcome.key}: deployment {deployment.status}: {deployment.description}"
            troubles.problems.append(
                Problem("", 0, 0, what, f"look with `nomad job status {wish.names.job_id}`")
            )
    return values


def connect_authority(vault: VaultClient, fleet: str) -> Callable[[], Authority]:
    """The overlay's CA, read once and only when a certificate has to be signed."""
    return cache(lambda: read_authority(vault, fleet))


def connect_servers(settings: Settings, fleet: str, overlay: OverlayTool) -> Servers:
    """What a sync writes to: the servers with a leader's tokens, and what signs overlay certificates."""
    vault = Vault(settings)
    return Servers(Nomad(settings), Consul(settings), vault, overlay, connect_authority(vault, fleet))
