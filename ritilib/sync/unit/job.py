"""A job is registered against the version that was planned with, and only where it is another."""

from __future__ import annotations

from typing import Any

from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import NomadClient
from ritilib.reconcile.state import LiveJob, Wish


def plan_job(wish: Wish, live: LiveJob | None, nomad: NomadClient) -> tuple[dict[str, Any], JobPlan]:
    """The wished job, and what registering it would do; live is the job as the list shows it.

    Of one that is not there, or is stopped, nothing runs that could be replaced: its registration is bound to the index
    of the list, and no plan is asked for.
    """
    job = nomad.parse(wish.job)
    if live is None or live.stopped:
        return job, JobPlan("create", {}, "", live.modify_index if live else 0)
    return job, nomad.plan(job)


def write_job(job: dict[str, Any], planned: JobPlan, nomad: NomadClient) -> int:
    """The JobModifyIndex of the job as wished. Raises Conflict where another has registered it meanwhile.

    Where it was so already, an earlier sync may have registered it and not lived to see what became of it.
    """
    if planned.changes == "none":
        return planned.modify_index
    return nomad.register(job, planned.modify_index).modify_index
