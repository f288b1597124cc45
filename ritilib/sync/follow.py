"""What became of the units whose task was replaced: by earlier cycles, and by this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from datetime import datetime

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import LeadershipLost, Problem, RitiError, Unreachable
from ritilib.reconcile.plan import Plan
from ritilib.reconcile.state import Record, Wish
from ritilib.sync.observe import Seen
from ritilib.sync.troubles import Troubles
from ritilib.sync.unit.apply import Outcome, Servers
from ritilib.sync.unit.door import reopen_door
from ritilib.sync.unit.last_good import go_back
from ritilib.sync.unit.settle import settle_unit

DEPLOYMENT_TIMEOUT_S = 240.0


def settle_earlier(
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
            elif record.replaced_at and not record.judged and record.job == wish.digests.job:
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


def open_doors(wishes: Iterable[Wish], live_keys: Set[str], consul: ConsulClient, troubles: Troubles) -> None:
    """Have the PBXes take calls that an earlier cycle may have told to take none, and that are left as they are."""
    for wish in wishes:
        if wish.names.is_lighthouse or wish.names.kv_key not in live_keys:
            continue
        try:
            reopen_door(wish.names, consul)
        except LeadershipLost:
            raise
        except RitiError as error:
            troubles.note(wish.names.key, error)
            if isinstance(error, Unreachable):
                break


def watch_deployments(
    outcomes: list[Outcome],
    wished: Iterable[Wish],
    servers: Servers,
    report: Callable[[str], None],
    clock: Callable[[], datetime],
    troubles: Troubles,
) -> dict[str, tuple[str, str]]:
    """Wait for the deployments that were started: unit → its values, as in Record, where it was judged.

    A problem is added for each that does not become healthy.
    """
    values: dict[str, tuple[str, str]] = {}
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
                values[outcome.key] = settled.record.values
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
