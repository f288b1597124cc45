"""A job is registered against the version that was planned with, and only where it is another."""

from __future__ import annotations

from typing import Any

from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import NomadClient


def write_job(job: dict[str, Any], planned: JobPlan, nomad: NomadClient) -> int:
    """The JobModifyIndex of the job as wished. Raises Conflict where another has registered it meanwhile.

    Where it was so already, an earlier sync may have registered it and not lived to see what became of it.
    """
    if planned.changes == "none":
        return planned.modify_index
    return nomad.register(job, planned.modify_index).modify_index
