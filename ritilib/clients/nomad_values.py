"""What Nomad's answers come to, as values; pure functions."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

Changes = Literal["none", "in-place", "destructive", "create"]


ALLOCATION_WORDS = ("running", "starting", "queued", "unknown")


@dataclass(frozen=True)
class JobTask:
    """A task of a job, as an ACL policy may be bound to it."""

    namespace: str
    job: str
    group: str
    task: str

    def to_json(self) -> dict[str, str]:
        """Nomad's JobACL."""
        return {"Namespace": self.namespace, "JobID": self.job, "Group": self.group, "Task": self.task}


@dataclass(frozen=True)
class JobStub:
    """A job as the list shows it; modify_index is JobModifyIndex, which only a new specification moves.

    allocations: how many are running, starting, queued (no node takes them), or unknown (their node has lost its
    servers), by these words; what has ended is not in it.
    """

    id: str
    status: str
    type: str
    modify_index: int
    stop: bool
    meta: Mapping[str, str]
    allocations: Mapping[str, int] | None = None


@dataclass(frozen=True)
class JobList:
    """Jobs sorted by id, and Nomad's index of the answer."""

    index: int
    jobs: tuple[JobStub, ...]


@dataclass(frozen=True)
class JobPlan:
    """What registering a job would do.

    changes: "none"; "in-place" (running tasks go on); "destructive" (at least one running task is stopped);
    "create" (no such job, or a stopped one). modify_index is the one to register with.
    """

    changes: Changes
    diff: Mapping[str, Any]
    warnings: str
    modify_index: int


@dataclass(frozen=True)
class Registered:
    """The evaluation that a registration started, and the job's JobModifyIndex."""

    evaluation_id: str
    modify_index: int


@dataclass(frozen=True)
class Deployment:
    """What became of a registration.

    status: "successful", "failed", "cancelled" (a newer registration came) or "timeout". description is
    Nomad's, with the words of the tasks that did not come up. placed and healthy count allocations.
    """

    status: str
    description: str
    placed: int
    healthy: int


@dataclass(frozen=True)
class TaskState:
    """state is "pending", "running" or "dead"; started_at is RFC 3339, "" before the first start."""

    state: str
    failed: bool
    restarts: int
    started_at: str


@dataclass(frozen=True)
class Port:
    """A port that Nomad gave an allocation: `host_ip`:`value` outside, `to` inside."""

    label: str
    value: int
    to: int
    host_ip: str


@dataclass(frozen=True)
class TemplateRetries:
    """How often a node's templates ask each server before they give up; 0 is for ever, None is not known.

    longest_end_s: for how long the node lets a task end at the most, whatever its job says.
    """

    node: str
    consul: int | None
    vault: int | None
    nomad: int | None
    longest_end_s: float | None = None


_PARTS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def read_duration_s(text: str) -> float | None:
    """Go's "1h30m0s"; None for what is none."""
    if not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s))+", text):
        return None
    return sum(float(number) * _PARTS_S[unit] for number, unit in re.findall(r"([\d.]+)(h|ms|m|s)", text))


@dataclass(frozen=True)
class Allocation:
    """One allocation; ports and its namespace's network_address only while its client status is "running".

    changed_at_s: when Nomad's servers last wrote something of it, in seconds of Unix time.
    """

    id: str
    name: str
    client_status: str
    desired_status: str
    job_version: int
    node_id: str
    task_states: Mapping[str, TaskState] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    network_address: str = ""
    changed_at_s: float = 0.0


@dataclass(frozen=True)
class AllocationStub:
    """An allocation as the list of all shows it."""

    id: str
    job_id: str
    client_status: str
    desired_status: str


def judge_plan(
    diff: Mapping[str, Any], updates: Mapping[str, Mapping[str, int]], modify_index: int
) -> Changes:
    """What a plan's diff and DesiredTGUpdates come to, running tasks considered.

    While an earlier deployment goes on, the scheduler counts as ignored what it will replace later; so an
    annotation that forces a replacement counts too, where there are allocations at all.
    """
    if diff["Type"] == "None":
        return "none"
    if any((one["Name"], one["Old"]) == ("Stop", "true") for one in diff.get("Fields") or ()):
        return "create"

    def count(*kinds: str) -> int:
        return sum(group.get(kind, 0) for group in updates.values() for kind in kinds)

    if modify_index == 0:
        return "create"
    if count("DestructiveUpdate", "Stop", "Migrate", "Canary"):
        return "destructive"
    if count("Ignore", "InPlaceUpdate") == 0 and count("Place"):
        return "create"
    forced = any(
        "forces create/destroy update" in (task.get("Annotations") or ())
        for group in diff.get("TaskGroups") or ()
        for task in group.get("Tasks") or ()
    )
    return "destructive" if forced and count("Ignore") else "in-place"


def make_stub(found: Mapping[str, Any]) -> JobStub:
    """A job of the list, from Nomad's JSON. What thousands of jobs have in common they share: 3 MB of 10,000."""
    return JobStub(
        id=found["ID"],
        status=found["Status"],
        type=found["Type"],
        modify_index=found["JobModifyIndex"],
        stop=found["Stop"],
        meta={name: sys.intern(value) for name, value in (found.get("Meta") or {}).items()},
        allocations=_count_allocations(found),
    )


def _count_allocations(found: Mapping[str, Any]) -> Mapping[str, int]:
    groups = ((found.get("JobSummary") or {}).get("Summary") or {}).values()
    return _share_counts(
        tuple(sum(group.get(word.capitalize(), 0) for group in groups) for word in ALLOCATION_WORDS)
    )


@lru_cache(maxsize=100)
def _share_counts(counts: tuple[int, ...]) -> Mapping[str, int]:
    return {word: count for word, count in zip(ALLOCATION_WORDS, counts, strict=True) if count}


def make_allocation(found: Mapping[str, Any], network: tuple[str, tuple[Port, ...]]) -> Allocation:
    """An allocation, from the JSON of the list and what was read of its network."""
    return Allocation(
        id=found["ID"],
        name=found["Name"],
        client_status=found["ClientStatus"],
        desired_status=found["DesiredStatus"],
        job_version=found["JobVersion"],
        node_id=found["NodeID"],
        task_states={
            task: TaskState(state["State"], state["Failed"], state["Restarts"], state["StartedAt"] or "")
            for task, state in (found.get("TaskStates") or {}).items()
        },
        ports=network[1],
        network_address=network[0],
        changed_at_s=found["ModifyTime"] / 1e9,
    )


def find_event_words(state: Mapping[str, Any]) -> list[str]:
    """Words of the events that fail a task; of one that still waits, the last word."""
    events = state.get("Events") or []
    if state["State"] == "running" and not state["Failed"]:
        return []
    telling = (
        "Driver Failure",
        "Setup Failure",
        "Failed Validation",
        "Failed Artifact Download",
        "Terminated",
    )
    failing = [
        one for one in events if one["FailsTask"] or one["Type"] in telling or one["Type"] == "Template"
    ]
    return [one["DisplayMessage"] for one in (failing or events)[-2:] if one["DisplayMessage"]]
