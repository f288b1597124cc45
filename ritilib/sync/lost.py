"""A PBX whose host has been lost for long gets another instance; the older one ends with its last call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ritilib.clients.protocols import NomadClient
from ritilib.errors import LeadershipLost, RitiError, Unreachable
from ritilib.reconcile.lost import Instance, find_lost, judge_lost, takes_turns
from ritilib.reconcile.plan import Plan
from ritilib.reconcile.state import Observed
from ritilib.reconcile.suspensions import list_scopes
from ritilib.sync.troubles import Troubles


def give_up_lost(
    plan: Plan,
    observed: Observed,
    nomad: NomadClient,
    lost_after: timedelta,
    go_on: Callable[[], bool],
    report: Callable[[str], None],
    troubles: Troubles,
) -> datetime | None:
    """Have Nomad place another instance of each PBX that has been without its host for long enough; when the next is
    due (None: none is).

    Nothing is asked where the job list shows none. Suspended units are left as they are. What goes wrong with one is
    added to troubles, and leaves the others alone.
    """
    suspended = {one.scope for one in observed.suspensions if one.is_in_force(observed.now)}
    lost = [
        wish
        for wish in find_lost(plan.wishes, observed.jobs)
        if not suspended & set(list_scopes(wish.names.key))
    ]
    until: datetime | None = None
    hosts: tuple[str, ...] | None = None
    for wish in lost:
        key = wish.names.key
        if not go_on():
            break
        try:
            if hosts is None:
                hosts = nomad.find_hosts()
            if not takes_turns(nomad.read_job(wish.names.job_id)):
                continue
            judged = judge_lost(_list_instances(wish.names.job_id, nomad), hosts, lost_after, observed.now)
            for allocation in judged.given_up:
                nomad.move_allocation(allocation)
                report(f"{key}: its host has lost Nomad's servers for long, so another gets it")
        except LeadershipLost:
            raise
        except RitiError as error:
            troubles.note(key, error)
            if isinstance(error, Unreachable):
                break
            continue
        until = min((one for one in (until, judged.until) if one), default=None)
    return until


def _list_instances(job_id: str, nomad: NomadClient) -> list[Instance]:
    """Nomad writes nothing of one whose host is away, so its last change is that it was missed."""
    return [
        Instance(one.id, one.node_id, datetime.fromtimestamp(one.changed_at_s, UTC))
        for one in nomad.list_allocations(job_id)
        if (one.client_status, one.desired_status) == ("unknown", "run")
    ]
