"""What Nomad, Consul and Vault hold for one fleet: read whole so that two states compare, and removed again.

Asked of the servers' own HTTP interfaces, not through the clients whose work is judged.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from ritilib.clients.nebula import OverlayTool
from ritilib.devstack.processes import wait_until

TIMEOUT_S = 30
# what each registration, or each run, has anew
JOB_TIMES = {
    "CreateIndex",
    "ModifyIndex",
    "JobModifyIndex",
    "SubmitTime",
    "NomadTokenID",  # whose accessor: each leader has its own
    "Status",
    "StatusDescription",
    "Stable",
}
RECORD_TIMES = {"job_modify_index", "live_index", "renew_at", "value_index", "box_index", "kept_index"}
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Holdings:
    """Reads with management tokens; fleet is the fleet's name."""

    fleet: str
    environ: Mapping[str, str]

    def dump(self) -> dict[str, Any]:
        """Everything, without indexes and times; an overlay identity by what its certificate says."""
        return {
            **{f"job {one['ID']}": _without(one, JOB_TIMES) for one in self.read_jobs()},
            **{
                f"key {key}": _without(json.loads(value), RECORD_TIMES)
                for key, value in self.read_kv().items()
            },
            **{f"consul {kind} {one['Name']}": _describe(one) for kind, one in self._list_acl()},
            **{
                f"vault {path}": _without(self._vault("GET", path)["data"], {"modified"})
                for place in ("sys/policies/acl", "auth/jwt-nomad/role")
                for path in self._list_vault(place, f"pbx-{self.fleet}--")
            },
            **{f"document {path}": self._describe(one) for path, one in self.read_documents().items()},
        }

    def read_jobs(self) -> list[dict[str, Any]]:
        """The specifications of the fleet's jobs."""
        stubs = self.nomad("GET", f"jobs?prefix={self.fleet}--")
        return [self.nomad("GET", f"job/{quote(one['ID'])}") for one in stubs]

    def list_allocations(self) -> list[dict[str, Any]]:
        """Nomad's stubs of all that the fleet's jobs ever placed."""
        return [one for one in self.nomad("GET", "allocations") if one["JobID"].startswith(f"{self.fleet}--")]

    def read_kv(self) -> dict[str, str]:
        """key → value, unpacked, of all below the fleet's prefix but what says who wrote, and when, and not what."""
        keys = self.consul("GET", f"kv/riti/{self.fleet}/?keys") or []
        told = {f"riti/{self.fleet}/{name}" for name in ("leader", "status", "history", "wake")}
        values = {
            key: self._ask("CONSUL_HTTP", "GET", f"kv/{key}?raw").content for key in keys if key not in told
        }
        return {
            key: (gzip.decompress(value) if value.startswith(GZIP) else value).decode()
            for key, value in values.items()
        }

    def read_documents(self) -> dict[str, dict[str, Any]]:
        """path below the fleet's → version and data of every document that can be read: a deleted one cannot."""
        found = {}
        for path in self._walk(f"riti/metadata/{self.fleet}/"):
            name = path.removeprefix(f"riti/metadata/{self.fleet}/")
            answer = self._vault("GET", f"riti/data/{self.fleet}/{name}")
            if answer:
                data = answer["data"]
                found[name] = {"version": data["metadata"]["version"], "data": data["data"]}
        return found

    def remove(self, log: Path) -> None:
        """All but what bootstrap made (the controller's rights, the CA, the transit key); waits until no task runs."""
        for one in self.nomad("GET", f"jobs?prefix={self.fleet}--"):
            self.nomad("DELETE", f"job/{quote(one['ID'])}?purge=true")
        wait_until(
            lambda: all(one["ClientStatus"] not in ("pending", "running") for one in self.list_allocations()),
            60,
            "waiting for the end of the fleet's tasks",
            log,
        )
        self.consul("DELETE", f"kv/riti/{self.fleet}/?recurse")
        for kind, one in self._list_acl():
            self.consul("DELETE", f"acl/{kind}/{one['ID']}")
        for place in ("sys/policies/acl", "auth/jwt-nomad/role"):
            for path in self._list_vault(place, f"pbx-{self.fleet}--"):
                self._vault("DELETE", path)
        for path in self._walk(f"riti/metadata/{self.fleet}/"):
            if not path.endswith("/overlay/ca"):
                self._vault("DELETE", path)

    def nomad(self, method: str, path: str, body: Any = None) -> Any:
        return self._decode(self._ask("NOMAD", method, path, body))

    def consul(self, method: str, path: str, body: Any = None) -> Any:
        return self._decode(self._ask("CONSUL_HTTP", method, path, body))

    def _vault(self, method: str, path: str) -> Any:
        return self._decode(self._ask("VAULT", method, path))

    def _list_acl(self) -> Iterable[tuple[str, dict[str, Any]]]:
        for kind, listed in (("policy", "acl/policies"), ("role", "acl/roles")):
            for one in self.consul("GET", listed):
                if one["Name"].startswith(f"pbx-{self.fleet}--"):
                    yield kind, self.consul("GET", f"acl/{kind}/{one['ID']}")

    def _list_vault(self, place: str, prefix: str) -> list[str]:
        found = self._vault("LIST", place) or {"data": {"keys": []}}
        return [f"{place}/{name}" for name in found["data"]["keys"] if name.startswith(prefix)]

    def _walk(self, folder: str) -> list[str]:
        found = self._vault("LIST", folder) or {"data": {"keys": []}}
        paths = [f"{folder}{name}" for name in found["data"]["keys"]]
        return [leaf for path in paths for leaf in (self._walk(path) if path.endswith("/") else [path])]

    def _describe(self, document: Mapping[str, Any]) -> dict[str, Any]:
        data = dict(document["data"])
        for half in ("overlay", "overlay_second"):
            if identity := data.pop(half, None):
                said = OverlayTool(Path(self.environ["RITI_NEBULA_CERT"])).read_certificate(identity["crt"])
                data[half] = [said.name, said.networks, said.groups, said.issuer, identity["ca"]]
        return {"version": document["version"], "data": data}

    def _ask(self, server: str, method: str, path: str, body: Any = None) -> requests.Response:
        header = {"NOMAD": "X-Nomad-Token", "CONSUL_HTTP": "X-Consul-Token", "VAULT": "X-Vault-Token"}[server]
        answer = requests.request(
            method,
            f"{self.environ[f'{server}_ADDR']}/v1/{path}",
            json=body,
            headers={header: self.environ[f"{server}_TOKEN"]},
            timeout=TIMEOUT_S,
        )
        if answer.status_code != 404:
            answer.raise_for_status()
        return answer

    def _decode(self, answer: requests.Response) -> Any:
        return answer.json() if answer.content and answer.status_code != 404 else None


def _without(value: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name not in names}


def _describe(one: Mapping[str, Any]) -> dict[str, Any]:
    """A Consul policy or role by what it grants; its id is new each time it is made."""
    linked = sorted(link["Name"] for link in one.get("Policies") or ())
    return {"description": one["Description"], "rules": one.get("Rules", ""), "policies": linked}
