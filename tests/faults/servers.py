"""All that Nomad, Consul and Vault hold, of whomever, read with management tokens over their own HTTP interfaces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from tests.faults.judging import Allocation, State, Thing
from tests.integration.holdings import JOB_TIMES

TIMEOUT_S = 60
HEADERS = {"NOMAD": "X-Nomad-Token", "CONSUL_HTTP": "X-Consul-Token", "VAULT": "X-Vault-Token"}
ENDING = ("running", "unknown")
ALIVE = ("pending", "running", "unknown")  # unknown: its client is away, and keeps it


@dataclass(frozen=True)
class Servers:
    """environ: addresses and management tokens, as Stack.environment gives them."""

    environ: Mapping[str, str]

    def ask(self, server: str, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """One request; 404 is an answer, every other refusal raises."""
        answer = requests.request(
            method,
            f"{self.environ[f'{server}_ADDR']}/v1/{path}",
            headers={HEADERS[server]: self.environ[f"{server}_TOKEN"]},
            **{"timeout": TIMEOUT_S, "json": body, **more},
        )
        if answer.status_code != 404:
            answer.raise_for_status()
        return answer

    def get(self, server: str, path: str, method: str = "GET", body: Any = None) -> Any:
        """The answer's JSON; None where there is no such thing."""
        answer = self.ask(server, method, path, body)
        return answer.json() if answer.content and answer.status_code != 404 else None

    def read_state(self) -> State:
        """Everything, now."""
        things = dict(self._list_things())
        return State(things, self.list_allocations())

    def list_allocations(self) -> dict[str, Allocation]:
        return {
            one["ID"]: Allocation(
                one["JobID"],
                tuple(
                    sorted(f"{name} {task['StartedAt']}" for name, task in (one["TaskStates"] or {}).items())
                ),
                one["ClientStatus"] in ALIVE and one["DesiredStatus"] == "run",
                one["ClientStatus"] in ENDING and one["DesiredStatus"] != "run",
            )
            for one in self.get("NOMAD", "allocations")
        }

    def read_job(self, job_id: str) -> Thing | None:
        job = self.get("NOMAD", f"job/{quote(job_id, safe='')}")
        return describe_job(job) if job else None

    def read_key(self, key: str) -> Thing | None:
        found = self.get("CONSUL_HTTP", f"kv/{key}")
        return describe_key(found[0]) if found else None

    def _list_things(self) -> Iterator[tuple[str, Thing]]:
        for stub in self.get("NOMAD", "jobs"):
            if job := self.read_job(stub["ID"]):
                yield f"job {stub['ID']}", job
        for entry in self.get("CONSUL_HTTP", "kv/?recurse") or ():
            yield f"key {entry['Key']}", describe_key(entry)
        for kind, listed in (("policy", "acl/policies"), ("role", "acl/roles")):
            for one in self.get("CONSUL_HTTP", listed):
                yield f"consul {kind} {one['Name']}", Thing(one["ID"], one["Hash"], one["Hash"])
        for place in ("sys/policies/acl", "auth/jwt-nomad/role"):
            for name in self._list(place):
                data = self.get("VAULT", f"{place}/{quote(name)}")["data"]
                said = digest({key: value for key, value in data.items() if key != "modified"})
                yield f"vault {place}/{name}", Thing("", said, said)
        for path in self._walk("riti/metadata/"):
            data = self.get("VAULT", path)["data"]
            versions = data["versions"]
            newest = versions.get(str(data["current_version"]), {})
            gone = sum(bool(one["deletion_time"] or one["destroyed"]) for one in versions.values())
            # a version that was deleted stays so when another is written: that too is a deletion
            made = f"{data['created_time']}, {gone} deleted"
            is_alive = not (newest.get("deletion_time") or newest.get("destroyed"))
            version = str(data["current_version"])
            yield f"document {path.removeprefix('riti/metadata/')}", Thing(made, version, version, is_alive)

    def _list(self, place: str) -> list[str]:
        found = self.get("VAULT", place, "LIST")
        return found["data"]["keys"] if found else []

    def _walk(self, folder: str) -> Iterator[str]:
        for name in self._list(folder):
            if name.endswith("/"):
                yield from self._walk(f"{folder}{name}")
            else:
                yield f"{folder}{name}"


def describe_job(job: Mapping[str, Any]) -> Thing:
    """written is Nomad's JobModifyIndex; content what it runs, without its mark and whether it is stopped."""
    said = {name: one for name, one in job.items() if name not in {*JOB_TIMES, "Version", "Meta", "Stop"}}
    return Thing(str(job["CreateIndex"]), str(job["JobModifyIndex"]), digest(said), not job["Stop"])


def describe_key(entry: Mapping[str, Any]) -> Thing:
    """An entry as Consul lists it."""
    return Thing(str(entry["CreateIndex"]), str(entry["ModifyIndex"]), digest(entry["Value"]))


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
