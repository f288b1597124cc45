"""Consul's ACL objects: policies, roles, auth methods, binding rules, tokens."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from ritilib.clients.consul_values import BindingRule, says
from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict, RitiError, ServerError

_DURATION = re.compile(r"(\d+)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}


class ConsulAcl(ABC):
    """The part of ritilib.clients.consul.Consul that is about ACLs; it raises as that does."""

    _client: Any

    def put_policy(self, name: str, rules: str, description: str, is_new: bool = False) -> bool:
        """Make or update an ACL policy of ours; True where something was written.

        description starts with our mark, "riti <fleet uuid>". Conflict where the policy bears another one. is_new: it
        is looked at only where it cannot be made, which spares a request where it is not there.
        """
        body = {"Name": name, "Rules": rules, "Description": description}
        return self._put("policy", name, is_new, body, lambda one: one["Rules"] == rules)

    def put_role(self, name: str, policies: tuple[str, ...], description: str, is_new: bool = False) -> bool:
        """Make or update an ACL role of ours with exactly these policies (by name), as put_policy does."""
        body = {
            "Name": name,
            "Policies": [{"Name": policy} for policy in policies],
            "Description": description,
        }

        def same(one: Mapping[str, Any]) -> bool:
            names = sorted(link["Name"] for link in one.get("Policies") or ())
            others = any(one.get(kind) for kind in ("ServiceIdentities", "NodeIdentities"))
            return names == sorted(policies) and not others

        return self._put("role", name, is_new, body, same)

    def delete_policy(self, name: str, description: str) -> bool:
        """Delete an ACL policy that bears this very description; False where there is none, Conflict else."""
        return self._delete("policy", name, description)

    def delete_role(self, name: str, description: str) -> bool:
        """Delete an ACL role that bears this very description; False where there is none, Conflict else."""
        return self._delete("role", name, description)

    def put_auth_method(
        self, name: str, config: dict[str, Any], description: str, longest_s: int | None = None
    ) -> bool:
        """Make or update a JWT auth method; True where written. longest_s is how long its tokens live (None: for ever).

        One that says the same already is left as it is, whoever made it; Conflict where another's does not.
        """
        asked = f"write auth method {name}"
        held = self._read(f"acl/auth-method/{name}", f"read auth method {name}")
        is_same = held and held["Type"] == "jwt" and says(held.get("Config") or {}, config)
        if is_same and (longest_s is None or _read_seconds(held.get("MaxTokenTTL", "")) == longest_s):
            return False
        if held and not held.get("Description", "").startswith("riti "):
            raise self._foreign("auth method", name)
        longest = {} if longest_s is None else {"max_token_ttl": f"{longest_s}s"}
        with self._explained(asked):
            put = self._client.acl.auth_method.update if held else self._client.acl.auth_method.create
            put(name, "jwt", description=description, config=config, token_locality="local", **longest)
        return True

    def list_binding_rules(self, auth_method: str) -> tuple[BindingRule, ...]:
        """Every binding rule of an auth method, whoever made it."""
        with self._explained(f"list binding rules of {auth_method}"):
            found = self._client.acl.binding_rule.list(auth_method) or ()
        return tuple(
            BindingRule(
                one["ID"],
                one["BindType"],
                one["BindName"],
                one.get("Selector", ""),
                one.get("Description", ""),
            )
            for one in found
        )

    def put_binding_rule(
        self, auth_method: str, bind_type: str, bind_name: str, selector: str, description: str
    ) -> bool:
        """Make the binding rule that bears this very description, or make it say this; True where written."""
        held = [one for one in self.list_binding_rules(auth_method) if one.description == description]
        wanted = (bind_type, bind_name, selector)
        if any((one.bind_type, one.bind_name, one.selector) == wanted for one in held):
            return False
        with self._explained(f"write a binding rule of {auth_method}"):
            rules = self._client.acl.binding_rule
            if held:
                rules.update(held[0].id, auth_method, bind_type, bind_name, None, description, selector)
            else:
                rules.create(auth_method, bind_type, bind_name, None, description, selector)
        return True

    def create_token(self, policies: tuple[str, ...], description: str) -> str:
        """A new token with these policies (by name); its secret."""
        with self._explained(f"create a token ({description})"):
            made = self._client.acl.token.create(policies_name=list(policies), description=description)
        return str(made["SecretID"])

    def issue_token(self, policies: tuple[str, ...], description: str, ttl_s: int) -> Issued:
        """A new token of this datacenter with these policies (by name), that expires after ttl_s (60 to 86,400)."""
        body = {
            "Description": description,
            "Policies": [{"Name": policy} for policy in policies],
            "Local": True,
            "ExpirationTTL": f"{ttl_s}s",
        }
        made = self._send("PUT", "acl/token", f"create a token ({description})", body)
        return Issued(made["SecretID"], made["AccessorID"])

    def list_tokens(self, policy: str) -> tuple[str, ...]:
        """The accessors, sorted, of all tokens that name this policy themselves; none where there is no such policy."""
        held = self._read(f"acl/policy/name/{policy}", f"read policy {policy}")
        if held is None:
            return ()
        params = [("policy", held["ID"])]
        found = self._send("GET", "acl/tokens", f"list the tokens with {policy}", params=params) or ()
        return tuple(sorted(one["AccessorID"] for one in found))

    def revoke_token(self, accessor: str) -> None:
        """Make a token worthless from this moment on; one that is gone already is fine."""
        self._send("DELETE", f"acl/token/{accessor}", "revoke a token", accepted=(404,))

    def has_token(self, token: str, policies: tuple[str, ...]) -> bool:
        """Whether Consul knows this token, with exactly these policies."""
        answer = self._send("GET", "acl/token/self", "look at a token", token=token, accepted=(403, 404))
        if answer is None:
            return False
        return sorted(link["Name"] for link in answer.get("Policies") or ()) == sorted(policies)

    def login(self, auth_method: str, jwt: str) -> str:
        """The token that a workload identity is given. Denied where no binding rule matches it."""
        body = {"AuthMethod": auth_method, "BearerToken": jwt}
        answer = self._send("POST", "acl/login", f"log in through {auth_method}", body, token="")
        return str(answer["SecretID"])

    def _put(self, kind: str, name: str, is_new: bool, body: dict[str, Any], same: Any) -> bool:
        if is_new:
            try:
                self._send("PUT", f"acl/{kind}", f"write {kind} {name}", body)
                return True
            except ServerError as error:
                if "already exists" not in str(error):
                    raise
        held = self._read(f"acl/{kind}/name/{name}", f"read {kind} {name}")
        mark = body["Description"].split()[:2]
        if held and held.get("Description", "").split()[:2] != mark:
            raise self._foreign(kind, name)
        if held and same(held) and held["Description"] == body["Description"]:
            return False
        # The library encodes a policy's rules twice, so these go by its connection.
        path = f"acl/{kind}/{held['ID']}" if held else f"acl/{kind}"
        self._send("PUT", path, f"write {kind} {name}", {**body, **({"ID": held["ID"]} if held else {})})
        return True

    def _delete(self, kind: str, name: str, description: str) -> bool:
        held = self._read(f"acl/{kind}/name/{name}", f"read {kind} {name}")
        if not held:
            return False
        if held.get("Description", "") != description:
            raise self._foreign(kind, name)
        self._send("DELETE", f"acl/{kind}/{held['ID']}", f"delete {kind} {name}")
        return True

    def _read(self, path: str, asked: str) -> Any:
        return self._send("GET", path, asked, accepted=(404,))

    def _conflict(self, asked: str) -> RitiError:
        return Conflict.because(
            f"Consul did not {asked}: somebody wrote in between",
            "read again and decide again: run it once more",
        )

    def _foreign(self, kind: str, name: str) -> RitiError:
        what = f"Consul's {kind} {name} is there and does not carry this fleet's mark"
        return Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")

    @abstractmethod
    def _send(
        self,
        method: str,
        path: str,
        asked: str,
        body: Any = None,
        token: str | None = None,
        accepted: tuple[int, ...] = (),
        params: list[tuple[str, str]] | None = None,
    ) -> Any:
        """One call; None for a status that is accepted as "not there"."""

    @abstractmethod
    def _explained(self, asked: str) -> AbstractContextManager[None]:
        """Says what was asked in whatever is raised."""


def _read_seconds(said: str) -> int:
    """Seconds of a duration as Go prints it: 1h30m0s."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(said))
