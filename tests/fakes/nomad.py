"""Nomad in memory: jobs with compare-and-set, and one allocation that starts as soon as it is registered."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable
from typing import Any

from ritilib.clients.nomad_values import (
    Allocation,
    AllocationStub,
    Changes,
    Deployment,
    JobList,
    JobPlan,
    JobStub,
    JobTask,
    Port,
    Registered,
    TaskState,
    TemplateRetries,
)
from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict, RitiError
from tests.fakes.journal import Journal

OF_SERVER = ("CreateIndex", "JobModifyIndex", "Version", "Status")
FAILING = "/nonexistent"  # a job whose text names this program never becomes healthy


class FakeNomad:
    """A NomadClient. Of HCL it knows the job's id, type, priority and meta; the rest is opaque text."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.index = 1
        self.jobs: dict[str, dict[str, Any]] = {}
        self.allocations: dict[str, list[Allocation]] = {}
        self.policies: dict[str, tuple[str, str]] = {}
        self.bound: dict[str, JobTask | None] = {}  # policy → the task that has it by its identity
        self.tokens: dict[str, tuple[str, ...]] = {}
        # what tasks wrote
        self.read_file: Callable[[str, str], bytes | None] = lambda _allocation, _path: None
        self.counts: dict[str, dict[str, int]] = {}  # job → its allocations, as the list has them
        self.hosts: tuple[str, ...] = ("fake",)
        self.managers: set[str] = set()
        self.accessors: dict[str, str] = {}

    def list_template_retries(self) -> tuple[TemplateRetries, ...]:
        self.journal.ask("nomad template retries")
        return (TemplateRetries("fake", 0, 0, 0),)

    def list_jobs(self, prefix: str) -> JobList:
        self.journal.ask(f"nomad list {prefix}*")
        jobs = (self.jobs[job_id] for job_id in sorted(self.jobs) if job_id.startswith(prefix))
        stubs = (
            JobStub(
                job["ID"],
                job["Status"],
                job["Type"],
                job["JobModifyIndex"],
                job["Stop"],
                dict(job["Meta"] or {}),
                self.counts.get(job["ID"]),
            )
            for job in jobs
        )
        return JobList(self.index, tuple(stubs))

    def parse(self, hcl: str) -> dict[str, Any]:
        self.journal.ask("nomad parse")
        job_id = re.search(r'^job "([^"]+)" \{', hcl, re.MULTILINE)
        if job_id is None or hcl.count("{") != hcl.count("}"):
            raise RitiError.because("the fake cannot parse this job", "mend the template")
        meta = re.search(r"^  meta = \{\n(.*?)^  \}", hcl, re.MULTILINE | re.DOTALL)
        priority = re.search(r"^  priority\s*= (\d+)\n", hcl, re.MULTILINE)
        kind = re.search(r'^  type\s*= "(\w+)"', hcl, re.MULTILINE)
        return {
            "ID": job_id[1],
            "Name": job_id[1],
            "Type": kind[1] if kind else "service",
            "Priority": int(priority[1]) if priority else 50,
            "Meta": dict(re.findall(r'"([^"]+)"\s*= "([^"]*)"', meta[1])) if meta else None,
            "Stop": False,
            "TaskGroups": [{"Text": hcl.replace(priority[0], "") if priority else hcl}],
        }

    def plan(self, job: dict[str, Any]) -> JobPlan:
        self.journal.ask(f"nomad plan {job['ID']}")
        held = self.jobs.get(job["ID"])
        changes: Changes = "create"
        if held and not held["Stop"]:
            differing = {name for name in job if name not in OF_SERVER and job[name] != held.get(name)}
            changes = "destructive" if differing - {"Priority"} else "in-place" if differing else "none"
        diff = {"ID": job["ID"], "Type": "None" if changes == "none" else "Edited" if held else "Added"}
        return JobPlan(changes, diff, "", held["JobModifyIndex"] if held else 0)

    def read_job(self, job_id: str) -> dict[str, Any] | None:
        self.journal.ask(f"nomad read {job_id}")
        return copy.deepcopy(self.jobs.get(job_id))

    def register(self, job: dict[str, Any], modify_index: int) -> Registered:
        held = self.jobs.get(job["ID"])
        if (held["JobModifyIndex"] if held else 0) != modify_index:
            raise Conflict.because(
                f"the fake did not register {job['ID']}: somebody wrote in between", "read again"
            )
        changes = self.plan(job).changes
        self.index += 1
        if held is None or changes != "none":
            self._store(job, held)
        if job["Stop"]:
            self._replace(job["ID"], None)
        elif changes in ("create", "destructive"):
            self._replace(job["ID"], self._start(job))
        self.journal.write(f"nomad register {job['ID']}")
        return Registered(str(uuid.uuid4()), self.jobs[job["ID"]]["JobModifyIndex"])

    def stop_job(self, job_id: str, modify_index: int) -> Registered:
        job = self.read_job(job_id)
        if job is None:
            raise Conflict.because(f"the fake did not stop {job_id}: it is gone", "read again")
        return self.register({**job, "Stop": True}, modify_index)

    def purge_job(self, job_id: str, modify_index: int) -> bool:
        job = self.read_job(job_id)
        if job is None:
            return False
        if job["JobModifyIndex"] != modify_index or not job["Stop"]:
            raise Conflict.because(f"the fake did not purge {job_id}: it has changed", "read again")
        self.index += 1
        del self.jobs[job_id]
        self.journal.write(f"nomad purge {job_id}")
        return True

    def wait_deployed(self, job_id: str, modify_index: int, timeout_s: float) -> Deployment:
        self.journal.ask(f"nomad follow {job_id}")
        held = self.jobs.get(job_id)
        if held is None or held["JobModifyIndex"] != modify_index:
            return Deployment("cancelled", "a newer registration came", 0, 0)
        if FAILING in held["TaskGroups"][0]["Text"]:
            return Deployment("failed", f"task pause: {FAILING}: no such file or directory", 1, 0)
        return Deployment("successful", "Deployment completed successfully", 1, 1)

    def list_allocations(self, job_id: str) -> tuple[Allocation, ...]:
        self.journal.ask(f"nomad list allocations of {job_id}")
        return tuple(self.allocations.get(job_id, ()))

    def find_running(self, job_id: str) -> tuple[str, ...]:
        self.journal.ask(f"nomad list allocations of {job_id}")
        found = self.allocations.get(job_id, ())
        return tuple(one.id for one in found if (one.client_status, one.desired_status) == ("running", "run"))

    def list_alive(self, prefix: str) -> tuple[AllocationStub, ...]:
        self.journal.ask(f"nomad list allocations of {prefix}*")
        return tuple(
            AllocationStub(one.id, job_id, one.client_status, one.desired_status)
            for job_id, found in self.allocations.items()
            for one in found
            if job_id.startswith(prefix) and one.client_status in ("pending", "running", "unknown")
        )

    def move_allocation(self, allocation_id: str) -> None:
        [job_id] = [
            name for name, found in self.allocations.items() if allocation_id in {one.id for one in found}
        ]
        self._replace(job_id, self._start(self.jobs[job_id]))
        self.journal.write(f"nomad move an allocation of {job_id}")

    def find_hosts(self) -> tuple[str, ...]:
        self.journal.ask("nomad list nodes")
        return self.hosts

    def read_alloc_file(self, allocation_id: str, path: str) -> bytes | None:
        self.journal.ask(f"nomad read {path}")
        return self.read_file(allocation_id, path)

    def put_policy(self, name: str, rules: str, description: str, task: JobTask | None = None) -> bool:
        held = self.policies.get(name)
        if held and held[1].split()[:2] != description.split()[:2]:
            raise Conflict.because(f"the fake's policy {name} is not ours", "see whose it is")
        if held == (rules, description) and self.bound.get(name) == task:
            return False
        self.policies[name], self.bound[name] = (rules, description), task
        self.journal.write(f"nomad write policy {name}")
        return True

    def create_token(self, policies: tuple[str, ...], name: str) -> str:
        token = str(uuid.uuid4())
        self.tokens[token] = tuple(sorted(policies))
        self.journal.write(f"nomad create token {name}")
        return token

    def issue_token(self, policies: tuple[str, ...], name: str, ttl_s: int) -> Issued:
        issued = Issued(self.create_token(policies, name), str(uuid.uuid4()))
        self.accessors[issued.accessor] = issued.secret
        return issued

    def issue_management_token(self, name: str) -> Issued:
        issued = self.issue_token((), name, 0)
        self.managers.add(issued.secret)
        return issued

    def list_tokens(self, policy: str) -> tuple[str, ...]:
        self.journal.ask(f"nomad list the tokens with {policy}")
        return tuple(sorted(one for one, secret in self.accessors.items() if policy in self.tokens[secret]))

    def revoke_token(self, accessor: str) -> None:
        self.tokens.pop(self.accessors.pop(accessor, ""), None)
        self.journal.write("nomad revoke a token")

    def is_management(self, token: str) -> bool:
        self.journal.ask("nomad look at a token")
        return token in self.managers and token in self.tokens

    def has_token(self, token: str, policies: tuple[str, ...]) -> bool:
        self.journal.ask("nomad look at a token")
        return self.tokens.get(token) == tuple(sorted(policies))

    def _store(self, job: dict[str, Any], held: dict[str, Any] | None) -> None:
        self.jobs[job["ID"]] = {
            **copy.deepcopy(job),
            "CreateIndex": held["CreateIndex"] if held else self.index,
            "JobModifyIndex": self.index,
            "Version": held["Version"] + 1 if held else 0,
            "Status": "dead" if job["Stop"] else "running",
        }

    def _start(self, job: dict[str, Any]) -> Allocation:
        text = job["TaskGroups"][0]["Text"]
        fails = FAILING in text
        state = TaskState("dead" if fails else "running", fails, 0, f"2000-01-01T00:00:00.{self.index:09d}Z")
        ports = tuple(Port(label, 20000, 0, "127.0.0.1") for label in re.findall(r'port "(\w+)"', text))
        return Allocation(
            id=str(uuid.uuid4()),
            name=f"{job['ID']}.group[0]",
            client_status="failed" if fails else "running",
            desired_status="run",
            job_version=self.jobs[job["ID"]]["Version"],
            node_id="fake",
            task_states=dict.fromkeys(re.findall(r'task "(\w+)"', text), state),
            ports=() if fails else ports,
            network_address="" if fails or not ports else "172.26.64.2",
            changed_at_s=float(self.index),
        )

    def _replace(self, job_id: str, new: Allocation | None) -> None:
        old = [
            Allocation(
                one.id,
                one.name,
                "complete",
                "stop",
                one.job_version,
                one.node_id,
                {
                    task: TaskState("dead", False, state.restarts, state.started_at)
                    for task, state in one.task_states.items()
                },
            )
            for one in self.allocations.get(job_id, ())
        ]
        self.allocations[job_id] = [*old, new] if new else old
