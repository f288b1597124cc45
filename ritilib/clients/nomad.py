"""Nomad's jobs, allocations and deployments, as the controller uses them (units are in namespace "default")."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import nomad
import requests
from nomad.api.exceptions import BaseNomadException, TimeoutNomadException

from ritilib.clients.nomad_acl import NomadAcl
from ritilib.clients.nomad_values import (
    Allocation,
    AllocationStub,
    Deployment,
    JobList,
    JobPlan,
    Port,
    Registered,
    TemplateRetries,
    find_event_words,
    judge_plan,
    make_allocation,
    make_stub,
    read_duration_s,
)
from ritilib.clients.session import NotTheServer, decode_at_once, make_session, refused, unreachable
from ritilib.clients.settings import Settings
from ritilib.clients.streaming import UNPACKED, read_array
from ritilib.errors import Conflict, Denied, RitiError, ServerError, Unreachable

__all__ = ["Allocation", "Deployment", "JobList", "JobPlan", "Nomad", "Registered"]

TOKEN_VARIABLE = "NOMAD_TOKEN"
NAMESPACE = "default"
WAIT_S = 10.0  # one blocking query; Nomad adds up to a sixteenth to it
MOST_WORDS = 5
ENDED = ("complete", "failed", "lost")
AGENTS = 16  # nodes' agents asked at the same time


class Nomad(NomadAcl):
    """One Nomad, with one token; jobs are those of one namespace.

    Methods raise Unreachable (no answer), Denied (the token may not), Conflict (a compare-and-set lost) and
    ServerError. Writes are never tried again, but for one that it refused as too many.
    """

    def __init__(self, settings: Settings, namespace: str = NAMESPACE) -> None:
        self._server = settings.nomad
        self._namespace = namespace
        self._client = self._connect(self._server.address, self._server.token)

    def list_jobs(self, prefix: str) -> JobList:
        """Every job whose id starts with prefix, with its meta, in one request; also stopped ones."""
        asked = f"list jobs {prefix}*"
        wanted = {"meta": "true", "prefix": prefix}
        answering = self._ask(asked, "jobs", params=wanted, headers=dict(UNPACKED), stream=True)
        with closing(answering) as answer, self._explained(asked):
            if "X-Nomad-Index" not in answer.headers:
                raise NotTheServer("what answered is not Nomad")
            jobs = sorted(read_array(answer, make_stub), key=lambda one: one.id)
        return JobList(int(answer.headers["X-Nomad-Index"]), tuple(jobs))

    def parse(self, hcl: str) -> dict[str, Any]:
        """A text of HCL as Nomad's canonical JSON; RitiError with Nomad's words where it is wrong."""
        body = {"JobHCL": hcl, "Canonicalize": True}
        with self._explained("parse a job"):
            try:
                parsed: dict[str, Any] = self._client.jobs.request("parse", json=body, method="post").json()
            except nomad.api.exceptions.BadRequestNomadException as error:
                words = " ".join(error.nomad_resp.text.split())[:600]
                raise RitiError.because(
                    f"Nomad: {words}", "mend the job's template and render again"
                ) from error
        return parsed

    def plan(self, job: dict[str, Any]) -> JobPlan:
        """What registering this job would do now; nothing is written."""
        asked = f"plan job {job['ID']}"
        body = {"Job": job, "Diff": True}
        answer = self._ask(asked, "job", _quote(job["ID"]), "plan", method="post", json=body).json()
        updates = (answer.get("Annotations") or {}).get("DesiredTGUpdates") or {}
        changes = judge_plan(answer["Diff"], updates, answer["JobModifyIndex"])
        return JobPlan(changes, answer["Diff"], answer.get("Warnings") or "", answer["JobModifyIndex"])

    def read_job(self, job_id: str) -> dict[str, Any] | None:
        """A job's specification in JSON; None where there is none."""
        answer = self._find(f"read job {job_id}", "job", _quote(job_id))
        return dict(answer.json()) if answer else None

    def register(self, job: dict[str, Any], modify_index: int) -> Registered:
        """Register a job whose JobModifyIndex is still this one (0: that is not there yet)."""
        asked = f"register job {job['ID']}"
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": modify_index}
        answer = self._ask(asked, "job", _quote(job["ID"]), method="post", json=body).json()
        return Registered(answer.get("EvalID", ""), answer["JobModifyIndex"])

    def stop_job(self, job_id: str, modify_index: int) -> Registered:
        """Stop a job whose JobModifyIndex is still this one, by registering it with Stop=true.

        (Nomad's own deregister ignores an index.) Conflict where the job is gone or has changed.
        """
        job = self.read_job(job_id)
        if job is None:
            raise self._conflict(f"stop job {job_id}")
        return self.register({**job, "Stop": True}, modify_index)

    def purge_job(self, job_id: str, modify_index: int) -> bool:
        """Remove a stopped job whose JobModifyIndex is still this one; False where it is already gone.

        Conflict where it has changed or runs. Nomad's deregister ignores an index, so this looks just before: a
        registration that comes in between, within one request, is lost.
        """
        asked = f"purge job {job_id}"
        job = self.read_job(job_id)
        if job is None:
            return False
        if job["JobModifyIndex"] != modify_index or not job["Stop"]:
            raise self._conflict(asked)
        self._ask(asked, "job", _quote(job_id), method="delete", params={"purge": "true"})
        return True

    def wait_deployed(self, job_id: str, modify_index: int, timeout_s: float) -> Deployment:
        """Follow the deployment that a registration with this JobModifyIndex started, by blocking queries.

        Returns when Nomad calls it successful, failed or cancelled, or after timeout_s (0: it is looked at once).
        A job that needs no deployment (batch, system, or nothing to place) counts as successful once its evaluation
        is complete.
        """
        end = time.monotonic() + timeout_s
        index = 0
        found: Mapping[str, Any] | None = None
        left = timeout_s
        while left > 0 or not index:
            answer = self._wait(
                f"follow job {job_id}", index, min(left, WAIT_S), "job", _quote(job_id), "deployments"
            )
            index = int(answer.headers["X-Nomad-Index"])
            ours = [one for one in answer.json() if one["JobSpecModifyIndex"] == modify_index]
            found = ours[0] if ours else None
            if found is None and self._needed_none(job_id, modify_index):
                return Deployment("successful", "Nomad needed no deployment", 0, 0)
            if found and found["Status"] in ("successful", "failed", "cancelled"):
                break
            left = end - time.monotonic()
        return self._describe(job_id, found, timeout_s)

    def list_allocations(self, job_id: str) -> tuple[Allocation, ...]:
        """A job's allocations, oldest first, dead ones too; one more request for each that runs."""
        found = sorted(self._list_stubs(job_id), key=lambda one: one["CreateIndex"])
        return tuple(make_allocation(one, self._read_network(one)) for one in found)

    def find_running(self, job_id: str) -> tuple[str, ...]:
        """Ids of the job's allocations that are to run and do, oldest first, in one request."""
        found = sorted(self._list_stubs(job_id), key=lambda one: one["CreateIndex"])
        alive = (one for one in found if (one["ClientStatus"], one["DesiredStatus"]) == ("running", "run"))
        return tuple(one["ID"] for one in alive)

    def list_alive(self, prefix: str) -> tuple[AllocationStub, ...]:
        """What runs or may run of every job whose id starts with prefix, oldest first, in one request."""
        ended = " and ".join(f'ClientStatus != "{one}"' for one in ENDED)
        params = {"task_states": "false", "filter": ended}
        found = self._ask(f"list allocations of {prefix}*", "allocations", params=params).json()
        return tuple(
            AllocationStub(one["ID"], one["JobID"], one["ClientStatus"], one["DesiredStatus"])
            for one in sorted(found, key=lambda one: one["CreateIndex"])
            if one["JobID"].startswith(prefix)
        )

    def move_allocation(self, allocation_id: str) -> None:
        """Have Nomad end an instance and place another, as `nomad alloc stop` does; one whose host is lost ends when
        that is back."""
        asked = f"move allocation {allocation_id}"
        self._ask(asked, "allocation", _quote(allocation_id), "stop", method="post")

    def find_hosts(self) -> tuple[str, ...]:
        """Ids of the nodes that take work now."""
        found = self._ask("list nodes", "nodes").json()
        return tuple(
            one["ID"]
            for one in found
            if (one["Status"], one["SchedulingEligibility"]) == ("ready", "eligible")
        )

    def read_alloc_file(self, allocation_id: str, path: str) -> bytes | None:
        """A file that a task wrote, by its path below the allocation's folder; None where it is not there (yet)."""
        asked = f"read {path} of allocation {allocation_id}"
        with self._explained(asked):
            try:
                request = self._client.client.cat.request
                answer: requests.Response = request(allocation_id, params={"path": path}, method="get")
            except nomad.api.exceptions.URLNotFoundNomadException:
                return None
        return answer.content

    def list_template_retries(self) -> tuple[TemplateRetries, ...]:
        """What the agent of each ready node says of itself, asked at its own address: servers do not know it.

        Needs node:read and agent:read. A node whose agent cannot be asked has None throughout.
        """
        agents = []
        for stub in self._ask("list nodes", "nodes").json():
            if stub["Status"] == "ready":
                node = self._ask(f"read node {stub['Name']}", "node", stub["ID"]).json()
                agents.append((stub["Name"], node["HTTPAddr"], bool(node.get("TLSEnabled"))))
        with ThreadPoolExecutor(AGENTS) as threads:  # each that cannot be reached takes its whole time-out
            return tuple(threads.map(lambda agent: self._read_retries(*agent), agents))

    def _look_at(self, token: str) -> dict[str, Any] | None:
        other = self._connect(self._server.address, token)
        try:
            with self._explained("look at a token"):
                return dict(other.acl.request("token", "self", method="get").json())
        except (Denied, ServerError) as error:
            if isinstance(error, Denied) or "token not found" in str(error):
                return None
            raise

    def _connect(self, address: str, token: str) -> Any:
        session = make_session(self._server)
        session.hooks["response"].append(decode_at_once)
        return nomad.Nomad(
            address=address,
            token=token,
            namespace=self._namespace,
            timeout=self._server.timeout_s,
            verify=self._server.verify,
            session=session,
        )

    def _read_retries(self, node: str, address: str, is_tls: bool) -> TemplateRetries:
        agent = self._connect(f"{'https' if is_tls else 'http'}://{address}", self._server.token).agent
        try:
            with self._explained(f"read the agent of node {node}"):
                config = agent.request("self", method="get").json()["config"]
        except (Unreachable, Denied):
            return TemplateRetries(node, None, None, None)
        client = config.get("Client") or {}
        template = client.get("TemplateConfig") or {}
        consul, vault, servers = (
            (template.get(f"{one}Retry") or {}).get("Attempts") for one in ("Consul", "Vault", "Nomad")
        )
        return TemplateRetries(
            node, consul, vault, servers, read_duration_s(client.get("MaxKillTimeout") or "")
        )

    def _ask(
        self, asked: str, endpoint: str, *path: str, method: str = "get", **extra: Any
    ) -> requests.Response:
        """One call by the library's requester, which quotes nothing: path's parts come quoted."""
        with self._explained(asked):
            ask: Callable[..., requests.Response] = getattr(self._client, endpoint).request
            return ask(*path, method=method, **extra)

    def _find(self, asked: str, endpoint: str, *path: str) -> requests.Response | None:
        """As _ask, None where Nomad has no such thing."""
        with self._explained(asked):
            try:
                answer: requests.Response = getattr(self._client, endpoint).request(*path, method="get")
            except nomad.api.exceptions.URLNotFoundNomadException:
                return None
        return answer

    def _wait(self, asked: str, index: int, wait_s: float, endpoint: str, *path: str) -> requests.Response:
        params = {"index": str(index), "wait": f"{max(wait_s, 0.1):.1f}s"}
        timeout_s = self._server.timeout_s + wait_s * 17 / 16
        return self._ask(asked, endpoint, *path, params=params, timeout=timeout_s)

    def _needed_none(self, job_id: str, modify_index: int) -> bool:
        evaluations = self._ask(f"read evaluations of {job_id}", "job", _quote(job_id), "evaluations").json()
        ours = [one for one in evaluations if one.get("JobModifyIndex") == modify_index]
        return bool(ours) and all(
            one["Status"] == "complete" and not one.get("DeploymentID") and not one.get("BlockedEval")
            for one in ours
        )

    def _describe(self, job_id: str, found: Mapping[str, Any] | None, timeout_s: float) -> Deployment:
        groups = found["TaskGroups"].values() if found else ()
        placed = sum(one["PlacedAllocs"] for one in groups)
        healthy = sum(one["HealthyAllocs"] for one in groups)
        if found and found["Status"] == "successful":
            return Deployment("successful", found["StatusDescription"], placed, healthy)
        ended = found is not None and found["Status"] in ("failed", "cancelled")
        status = found["Status"] if found and ended else "timeout"
        said = found["StatusDescription"] if found and ended else f"not healthy after {timeout_s:.0f} s"
        words = [said, *self._find_words(job_id, found["ID"] if found else "")]
        return Deployment(status, "; ".join(words), placed, healthy)

    def _find_words(self, job_id: str, deployment_id: str) -> list[str]:
        """What tasks that do not run said last, and why allocations could not be placed."""
        words = []
        for stub in self._list_stubs(job_id):
            if stub.get("DeploymentID", deployment_id) != deployment_id:
                continue
            for task, state in sorted((stub.get("TaskStates") or {}).items()):
                words += [f"task {task}: {said}" for said in find_event_words(state)]
        evaluations = self._ask(f"read evaluations of {job_id}", "job", _quote(job_id), "evaluations").json()
        for one in evaluations:
            for group, failed in (one.get("FailedTGAllocs") or {}).items():
                reasons = {
                    **(failed.get("ConstraintFiltered") or {}),
                    **(failed.get("DimensionExhausted") or {}),
                }
                why = ", ".join(sorted(reasons)) or f"{failed.get('NodesEvaluated', 0)} nodes evaluated"
                words.append(f"group {group} could not be placed: {why}")
        return list(dict.fromkeys(words))[:MOST_WORDS]

    def _list_stubs(self, job_id: str) -> list[dict[str, Any]]:
        return list(self._ask(f"list allocations of {job_id}", "job", _quote(job_id), "allocations").json())

    def _read_network(self, stub: Mapping[str, Any]) -> tuple[str, tuple[Port, ...]]:
        if stub["ClientStatus"] != "running":
            return "", ()
        answer = self._find(f"read allocation {stub['ID']}", "allocation", stub["ID"])
        whole = answer.json() if answer else {}
        shared = (whole.get("AllocatedResources") or {}).get("Shared") or {}
        ports = (
            Port(one["Label"], one["Value"], one.get("To", 0), one["HostIP"])
            for one in shared.get("Ports") or ()
        )
        return (whole.get("NetworkStatus") or {}).get("Address") or "", tuple(ports)

    def _conflict(self, asked: str) -> Conflict:
        return Conflict.because(
            f"Nomad did not {asked}: somebody wrote in between",
            "read again and decide again: run it once more",
        )

    @contextmanager
    def _explained(self, asked: str) -> Iterator[None]:
        try:
            yield
        except TimeoutNomadException as error:
            raise unreachable("Nomad", self._server.address, asked, error) from error
        except BaseNomadException as error:
            answer = error.nomad_resp
            if not isinstance(answer, requests.Response):
                raise unreachable("Nomad", self._server.address, asked, answer) from error
            if "Enforcing job modify index" in answer.text:
                raise self._conflict(asked) from error
            raise refused(
                "Nomad", self._server.address, asked, answer.status_code, answer.text, TOKEN_VARIABLE
            ) from error
        except requests.RequestException as error:
            raise unreachable("Nomad", self._server.address, asked, error) from error


def _quote(part: str) -> str:
    return quote(part, safe="")
