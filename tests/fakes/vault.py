"""Vault in memory: documents with versions, HMACs, and what bootstrap enables."""

from __future__ import annotations

import copy
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ritilib.clients.tokens import Issued
from ritilib.clients.vault import Document
from ritilib.errors import Conflict, ServerError
from tests.fakes.engines import Engines
from tests.fakes.journal import Journal


@dataclass
class Versions:
    """The versions of one document, the first at index 0; None where one was deleted."""

    data: list[dict[str, Any] | None] = field(default_factory=list)


class FakeVault:
    """A VaultClient. Policies are kept, not enforced; every mount is there."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.documents: dict[str, Versions] = {}
        self.mounts: dict[str, str] = {}
        self.keys: dict[str, bytes] = {}
        self.policies: dict[str, str] = {}
        self.roles: dict[tuple[str, str], dict[str, Any]] = {}
        self.jwks_urls: dict[str, str] = {}
        self.tokens: dict[str, tuple[str, ...]] = {}
        self.accessors: dict[str, str] = {}
        self.engines = Engines()

    def read_document(self, path: str) -> Document | None:
        self.journal.ask(f"vault read {path}")
        versions = self.documents.get(path, Versions()).data
        if not versions or versions[-1] is None:
            return None
        return Document(len(versions), copy.deepcopy(versions[-1]))

    def renew_token(self) -> None:
        self.journal.ask("vault renew own token")

    def write_document(self, path: str, data: dict[str, Any], cas: int, revive: bool = True) -> int:
        versions = self.documents.setdefault(path, Versions()).data
        readable = len(versions) if versions and versions[-1] is not None else 0
        is_deleted = bool(versions) and not readable
        if cas not in (readable, len(versions)) or (cas == 0 and (readable or (is_deleted and not revive))):
            raise _conflict(f"write document {path}")
        versions.append(copy.deepcopy(data))
        self.journal.write(f"vault write {path}")
        return len(versions)

    def delete_document(self, path: str) -> bool:
        self.journal.ask(f"vault read the versions of {path}")
        versions = self.documents.get(path, Versions()).data
        if all(version is None for version in versions):
            return False
        versions[:] = [None] * len(versions)
        self.journal.write(f"vault delete {path}")
        return True

    def destroy_versions_before(self, path: str, version: int) -> bool:
        self.journal.ask(f"vault read the versions of {path}")
        versions = self.documents.get(path, Versions()).data
        before = versions[: version - 1]
        if all(one is None for one in before):
            return False
        versions[: version - 1] = [None] * len(before)
        self.journal.write(f"vault destroy old versions of {path}")
        return True

    def delete_latest(self, path: str) -> None:
        """Delete the latest version, as a person would."""
        self.documents[path].data[-1] = None

    def compute_hmac(self, key: str, text: str, key_version: int = 1) -> str:
        return self.compute_hmacs(key, [text], key_version)[text]

    def compute_hmacs(self, key: str, texts: Sequence[str], key_version: int = 1) -> dict[str, str]:
        self.journal.ask(f"vault compute {len(texts)} HMACs with {key}")
        if key not in self.keys or key_version != 1:
            raise ServerError.because(
                f"the fake has no transit key {key} of version {key_version}", "make it"
            )
        return {text: hmac.new(self.keys[key], text.encode(), hashlib.sha256).hexdigest() for text in texts}

    def put_policy(self, name: str, text: str, is_new: bool = False) -> bool:
        if self.policies.get(name) == text:
            return False
        self.policies[name] = text
        self.journal.write(f"vault write policy {name}")
        return True

    def put_role(self, mount: str, name: str, fields: dict[str, Any], is_new: bool = False) -> bool:
        held = self.roles.setdefault((mount, name), {})
        if all(_sort(held.get(field)) == _sort(value) for field, value in fields.items()):
            return False
        held.update(fields)
        self.journal.write(f"vault write role {name}")
        return True

    def put_token_role(self, name: str, fields: dict[str, Any]) -> bool:
        return self.put_role("token", name, fields)

    def delete_policy(self, name: str) -> bool:
        self.journal.ask(f"vault read policy {name}")
        if self.policies.pop(name, None) is None:
            return False
        self.journal.write(f"vault delete policy {name}")
        return True

    def delete_role(self, mount: str, name: str) -> bool:
        self.journal.ask(f"vault read role {name}")
        if self.roles.pop((mount, name), None) is None:
            return False
        self.journal.write(f"vault delete role {name}")
        return True

    def enable_kv(self, mount: str) -> bool:
        return self._enable(mount, "kv")

    def enable_transit(self, mount: str) -> bool:
        return self._enable(mount, "transit")

    def create_transit_key(self, name: str) -> bool:
        if name in self.keys:
            return False
        self.keys[name] = uuid.uuid4().bytes
        self.journal.write(f"vault make transit key {name}")
        return True

    def enable_jwt(self, mount: str, jwks_url: str) -> bool:
        if self.jwks_urls.get(mount) not in (None, jwks_url):
            raise _conflict(f"configure {mount}")
        written = self._enable(f"auth/{mount}", "jwt")
        if self.jwks_urls.get(mount) == jwks_url:
            return written
        self.jwks_urls[mount] = jwks_url
        self.journal.write(f"vault configure {mount}")
        return True

    def create_token(self, policies: tuple[str, ...], name: str) -> str:
        token = str(uuid.uuid4())
        self.tokens[token] = tuple(sorted(policies))
        self.journal.write(f"vault create token {name}")
        return token

    def issue_token(self, role: str, name: str, ttl_s: int) -> Issued:
        if ("token", role) not in self.roles:
            raise ServerError.because(f"the fake has no token role {role}", "make it")
        policies = tuple(self.roles["token", role]["allowed_policies"])
        issued = Issued(self.create_token(policies, name), str(uuid.uuid4()))
        self.accessors[issued.accessor] = issued.secret
        return issued

    def revoke_token(self, accessor: str) -> None:
        self.tokens.pop(self.accessors.pop(accessor, ""), None)
        self.journal.write("vault revoke a token")

    def has_token(self, token: str, policies: tuple[str, ...]) -> bool:
        self.journal.ask("vault look at a token")
        return self.tokens.get(token) == tuple(sorted(policies))

    def find(self, path: str, asked: str) -> dict[str, Any] | None:
        self.journal.ask(f"vault {asked}")
        return copy.deepcopy(self.engines.find(path))

    def post(self, path: str, body: Mapping[str, Any], asked: str) -> dict[str, Any]:
        answer = self.engines.post(path, dict(body))
        self.journal.write(f"vault {asked}")
        return answer

    def put_fields(self, path: str, what: str, fields: Mapping[str, Any]) -> bool:
        held = self.find(path, f"read {what}")
        if held and all(_sort(held.get(field)) == _sort(value) for field, value in fields.items()):
            return False
        self.post(path, fields, f"write {what}")
        return True

    def delete(self, path: str, what: str) -> bool:
        if self.find(path, f"read {what}") is None:
            return False
        del self.engines.held[path]
        self.journal.write(f"vault delete {what}")
        return True

    def enable(self, kind: str, mount: str, body: dict[str, Any]) -> bool:
        return self._enable(mount if kind == "mounts" else f"{kind}/{mount}", body["type"])

    def find_accessor(self, mount: str) -> str:
        return f"accessor_of_{mount}"

    @property
    def place(self) -> tuple[str, str]:
        return "https://vault.invalid", ""

    def _enable(self, mount: str, kind: str) -> bool:
        if self.mounts.get(mount, kind) != kind:
            raise _conflict(f"enable {mount}")
        if mount in self.mounts:
            return False
        self.mounts[mount] = kind
        self.journal.write(f"vault enable {mount}")
        return True


def _conflict(asked: str) -> Conflict:
    return Conflict.because(f"the fake did not {asked}: somebody wrote in between", "read again")


def _sort(value: Any) -> Any:
    """Lists are sets to Vault."""
    return sorted(value) if isinstance(value, list) else value
