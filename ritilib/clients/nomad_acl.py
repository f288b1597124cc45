"""Nomad's ACL: policies and tokens."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

from ritilib.clients.nomad_values import JobTask
from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict, ServerError


class NomadAcl(ABC):
    """The part of ritilib.clients.nomad.Nomad that is about who may do what; it raises as that does."""

    def put_policy(self, name: str, rules: str, description: str, task: JobTask | None = None) -> bool:
        """Make or update an ACL policy of ours; True where something was written.

        description starts with our mark, "riti <fleet uuid>". Conflict where the policy bears another one. task has
        the rights without any token that names the policy, by the identity that Nomad signs for it.
        """
        bound = task.to_json() if task else None
        held = self._find(f"read policy {name}", "acl", "policy", quote(name, safe=""))
        if held:
            one = held.json()
            if one["Description"].split()[:2] != description.split()[:2]:
                what = f"Nomad's policy {name} is there and does not carry this fleet's mark"
                raise Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")
            if (one["Rules"], one["Description"], one.get("JobACL")) == (rules, description, bound):
                return False
        body = {"Name": name, "Rules": rules, "Description": description, "JobACL": bound}
        self._ask(f"write policy {name}", "acl", "policy", quote(name, safe=""), method="post", json=body)
        return True

    def create_token(self, policies: tuple[str, ...], name: str) -> str:
        """A new client token with these policies; its secret."""
        body = {"Name": name, "Type": "client", "Policies": list(policies), "Global": False}
        answer = self._ask(f"create token {name}", "acl", "token", method="post", json=body)
        return str(answer.json()["SecretID"])

    def issue_token(self, policies: tuple[str, ...], name: str, ttl_s: int) -> Issued:
        """A new client token of this region with these policies, that expires after ttl_s (60 to 86,400)."""
        return self._issue({"Type": "client", "Policies": list(policies), "ExpirationTTL": f"{ttl_s}s"}, name)

    def issue_management_token(self, name: str) -> Issued:
        """A new token with every right, the only kind that may make and revoke tokens."""
        return self._issue({"Type": "management"}, name)

    def list_tokens(self, policy: str) -> tuple[str, ...]:
        """The accessors, sorted, of all tokens with this policy."""
        params = {"filter": f"{json.dumps(policy)} in Policies"}
        found = self._ask(f"list the tokens with {policy}", "acl", "tokens", params=params).json()
        return tuple(sorted(one["AccessorID"] for one in found))

    def revoke_token(self, accessor: str) -> None:
        """Make a token worthless from this moment on; one that is gone already is fine."""
        try:
            self._ask("revoke a token", "acl", "token", quote(accessor, safe=""), method="delete")
        except ServerError as error:
            if "Cannot delete nonexistent tokens" not in str(error):
                raise

    def has_token(self, token: str, policies: tuple[str, ...]) -> bool:
        """Whether Nomad knows this token, with exactly these policies."""
        held = self._look_at(token)
        return held is not None and sorted(held.get("Policies") or ()) == sorted(policies)

    def is_management(self, token: str) -> bool:
        """Whether Nomad knows this token, and as one with every right."""
        held = self._look_at(token)
        return held is not None and held["Type"] == "management"

    def _issue(self, rights: Mapping[str, Any], name: str) -> Issued:
        body = {"Name": name, "Global": False, **rights}
        made = self._ask(f"create token {name}", "acl", "token", method="post", json=body).json()
        return Issued(made["SecretID"], made["AccessorID"])

    @abstractmethod
    def _ask(
        self, asked: str, endpoint: str, *path: str, method: str = "get", **extra: Any
    ) -> requests.Response:
        """One call; path's parts come quoted."""

    @abstractmethod
    def _find(self, asked: str, endpoint: str, *path: str) -> requests.Response | None:
        """As _ask, None where Nomad has no such thing."""

    @abstractmethod
    def _look_at(self, token: str) -> dict[str, Any] | None:
        """What Nomad says of a token; None where it does not know it."""
