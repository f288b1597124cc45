"""Which units run nothing at all, as the job list that each cycle reads anyway shows it. A pure function of values.

It tells and decides nothing: a PBX without a host is no reason to change anything, but people must hear of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ritilib.errors import Problem
from ritilib.reconcile.state import LiveJob, Wish


def find_down(
    wishes: Iterable[Wish], jobs: Mapping[str, LiveJob], but: Collection[str] = ()
) -> dict[str, Problem]:
    """unit → why nothing of it runs, or only one of two instances may.

    but: units that are being replaced just now, whose tasks come and go. One that starts is not down yet: Nomad's
    deployment says when it gives up. One whose host has lost its servers may well run, calls and all (DESIGN, rule
    10), which nobody here can know.
    """
    return {
        wish.names.key: problem
        for wish in wishes
        if wish.names.key not in but
        and (job := jobs.get(wish.names.job_id)) is not None
        and not job.stopped
        and (problem := _judge(wish, job))
    }


def _tell_follower(wish: Wish) -> Problem:
    """Of two instances one is at a host that nobody knows of (sync/lost.py)."""
    key = wish.names.key
    what = f"{key}: its host has lost Nomad's servers, and another has its place"
    return Problem(
        "", 0, 0, what, "bring the host's link to them back: the older one then ends with its last call"
    )


def _judge(wish: Wish, job: LiveJob) -> Problem | None:
    counts, job_id = job.allocations, wish.names.job_id
    if counts is None:
        return None
    if counts.get("running") or counts.get("starting"):
        return _tell_follower(wish) if counts.get("unknown") else None
    if counts.get("unknown"):
        what = "its host has lost Nomad's servers; after ten minutes another gets it, where there is one"
        mend = "bring the host's link to them back"
    elif counts.get("queued"):
        what = "no host takes it"
        mend = f"see what it waits for: `nomad job status {job_id}` names the constraint or the room that is missing"
    else:
        what, mend = "its task does not come up", f"see why: `nomad job status {job_id}`"
    return Problem("", 0, 0, f"{wish.names.key} is not running: {what}", mend)
