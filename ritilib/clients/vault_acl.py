"""Vault's ACL policies, roles and tokens."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict

NOT_THERE = -1  # OpenBao: the policy must not exist yet
TOKEN_PERIOD = "768h"  # a periodic token lives as long as it is renewed within this time


class VaultAcl(ABC):
    """The part of ritilib.clients.vault.Vault that is about who may do what; it raises as that does."""

    _client: Any

    def put_policy(self, name: str, text: str, is_new: bool = False) -> bool:
        """Make or update a policy; True where something was written.

        A policy has no mark of its own: the name says whose it is. OpenBao compares and sets; Vault ignores
        `cas`. is_new: it is looked at only where it cannot be made, which spares a request where it is not there.
        """
        path = f"sys/policies/acl/{quote(name)}"
        if is_new:
            with contextlib.suppress(Conflict):
                self._write_policy(path, name, text, NOT_THERE)
                return True
        held = self.find(path, f"read policy {name}")
        if held and held["policy"] == text:
            return False
        self._write_policy(path, name, text, held.get("version") if held else NOT_THERE)
        return True

    def put_role(self, mount: str, name: str, fields: dict[str, Any], is_new: bool = False) -> bool:
        """Make a JWT role say these fields; others keep their values. True where something was written.

        is_new: it is written without a look, which spares a request where it is not there.
        """
        path = f"auth/{mount}/role/{quote(name)}"
        if is_new:
            self.post(path, fields, f"write role {name}")
            return True
        return self.put_fields(path, f"role {name}", fields)

    def put_token_role(self, name: str, fields: dict[str, Any]) -> bool:
        """Make a role say these fields of the tokens that are made through it. True where something was written."""
        return self.put_fields(f"auth/token/roles/{quote(name)}", f"role {name}", fields)

    def delete_policy(self, name: str) -> bool:
        """Delete a policy, whose name alone says whose it is; False where there is none."""
        return self.delete(f"sys/policies/acl/{quote(name)}", f"policy {name}")

    def delete_role(self, mount: str, name: str) -> bool:
        """Delete a JWT role, whose name alone says whose it is; False where there is none."""
        return self.delete(f"auth/{mount}/role/{quote(name)}", f"role {name}")

    def create_token(self, policies: tuple[str, ...], name: str) -> str:
        """A new periodic orphan token with these policies and no others; its secret."""
        with self._explained(f"create token {name}"):
            answer = self._client.auth.token.create_orphan(
                policies=list(policies), no_default_policy=False, display_name=name, period=TOKEN_PERIOD
            )
        return str(answer["auth"]["client_token"])

    def issue_token(self, role: str, name: str, ttl_s: int) -> Issued:
        """A new token through a token role, child of our own, that expires after ttl_s.

        It ends with our own token too. Needs nothing but `update` of auth/token/create/<role>.
        """
        with self._explained(f"create token {name}"):
            answer = self._client.auth.token.create(role_name=role, display_name=name, ttl=f"{ttl_s}s")
        return Issued(answer["auth"]["client_token"], answer["auth"]["accessor"])

    def revoke_token(self, accessor: str) -> None:
        """Make a token worthless from this moment on; one that is gone already is fine."""
        with self._explained("revoke a token"):
            self._client.auth.token.revoke_accessor(accessor)

    def renew_token(self) -> None:
        """Give our own periodic token its whole period again; one that cannot be renewed stays as it is."""
        with self._explained("renew our own token"):
            held = self._client.auth.token.lookup_self()["data"]
            if held.get("renewable"):
                self._client.auth.token.renew_self()

    def has_token(self, token: str, policies: tuple[str, ...]) -> bool:
        """Whether Vault knows this token, with exactly these policies (besides "default")."""
        held = self._look_at(token)
        return held is not None and sorted(set(held["policies"]) - {"default"}) == sorted(policies)

    def login(self, mount: str, role: str, jwt: str) -> str:
        """The token that a workload identity is given. Denied or ServerError where the role is not for it."""
        asked = f"log in as role {role} through {mount}"
        with self._explained(asked):
            answer = self._connect("").auth.jwt.jwt_login(role=role, jwt=jwt, path=mount)
        return str(answer["auth"]["client_token"])

    def _write_policy(self, path: str, name: str, text: str, cas: int | None) -> None:
        body = {"policy": text, **({"cas": cas} if cas is not None else {})}
        with self._explained(f"write policy {name}", conflict="check-and-set"):
            self._client.adapter.post(f"/v1/{path}", json=body)

    @abstractmethod
    def find(self, path: str, asked: str) -> dict[str, Any] | None:
        """The data at a path; None where there is nothing."""

    @abstractmethod
    def post(self, path: str, body: Mapping[str, Any], asked: str) -> dict[str, Any]:
        """What a path answers to a body."""

    @abstractmethod
    def put_fields(self, path: str, what: str, fields: Mapping[str, Any]) -> bool:
        """Make what lies at a path say these fields; True where something was written."""

    @abstractmethod
    def delete(self, path: str, what: str) -> bool:
        """Delete what lies at a path; False where there is nothing."""

    @abstractmethod
    def _look_at(self, token: str) -> dict[str, Any] | None:
        """What Vault says of a token; None where it does not know it."""

    @abstractmethod
    def _connect(self, token: str) -> Any:
        """The library's client with another token."""

    @abstractmethod
    def _explained(self, asked: str, conflict: str = "") -> AbstractContextManager[None]:
        """Says what was asked in whatever is raised; conflict: by which words a compare-and-set has lost."""
