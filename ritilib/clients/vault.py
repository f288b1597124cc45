"""Vault's (or OpenBao's) documents, HMACs, policies and roles, as the controller uses them."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError

from ritilib.clients.session import decode_at_once, make_session, refused, unreachable
from ritilib.clients.settings import Settings
from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict, RitiError

TOKEN_VARIABLE = "VAULT_TOKEN"
KV_MOUNT = "riti"
TRANSIT_MOUNT = "riti-transit"
KEY_BYTES = 32
NOT_THERE = -1  # OpenBao: the policy must not exist yet
UPGRADE_S = 30.0
POLL_S = 0.05
TOKEN_PERIOD = "768h"  # a periodic token lives as long as it is renewed within this time
STATUSES = {
    "InvalidRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "InvalidPath": 404,
    "RateLimitExceeded": 429,
    "BadGateway": 502,
    "VaultDown": 503,
}


@dataclass(frozen=True)
class Document:
    """The latest version of a document; version is what a compare-and-set names."""

    version: int
    data: dict[str, Any] = field(repr=False)


class Vault:
    """One Vault, with one token; documents in KV v2 at `riti`, keys in transit at `riti-transit`.

    Methods raise Unreachable (no answer, sealed), Denied (the token may not), Conflict (a compare-and-set
    lost, or the name is taken by something else) and ServerError. Writes are never tried again.
    """

    def __init__(self, settings: Settings) -> None:
        self._server = settings.vault
        self._client = self._connect(self._server.token)

    def read_document(self, path: str) -> Document | None:
        """The document's latest version; None where there is none, or where the latest is deleted."""
        with self._explained(f"read document {path}"):
            try:
                answer = self._client.secrets.kv.v2.read_secret_version(
                    _quote(path), mount_point=KV_MOUNT, raise_on_deleted_version=True
                )
            except InvalidPath:
                return None
        return Document(answer["data"]["metadata"]["version"], answer["data"]["data"])

    def write_document(self, path: str, data: dict[str, Any], cas: int, revive: bool = True) -> int:
        """Write a document whose version is still `cas`; its new version.

        cas 0: there must be nothing to read. After a deletion the write is bound to the version deleted, unless
        revive is False: then a deleted document is a Conflict, since `vault kv undelete` may bring it back.
        """
        asked = f"write document {path}"
        version = self._write(path, data, cas)
        if version is None and cas == 0 and revive:
            deleted = self._find_deleted(path)
            version = self._write(path, data, deleted) if deleted else None
        if version is None:
            raise self._conflict(asked)
        return version

    def delete_document(self, path: str) -> bool:
        """Hide every version of a document; False where there is none to hide.

        `vault kv undelete` brings one back, and a later write goes on after the last: nothing is destroyed.
        """
        held = self._read_versions(path)
        versions = [
            int(number) for number, one in (held["versions"] if held else {}).items() if not _is_gone(one)
        ]
        if not versions:
            return False
        with self._explained(f"delete document {path}"):
            self._client.secrets.kv.v2.delete_secret_versions(
                _quote(path), versions=versions, mount_point=KV_MOUNT
            )
        return True

    def destroy_versions_before(self, path: str, version: int) -> bool:
        """Destroy what all versions of a document below this one said, for ever; False where nothing is left of it."""
        held = self._read_versions(path)
        left = held["versions"] if held else {}
        versions = [
            int(number) for number, one in left.items() if int(number) < version and not one["destroyed"]
        ]
        if not versions:
            return False
        with self._explained(f"destroy old versions of document {path}"):
            self._client.secrets.kv.v2.destroy_secret_versions(
                _quote(path), versions=versions, mount_point=KV_MOUNT
            )
        return True

    def compute_hmac(self, key: str, text: str, key_version: int = 1) -> str:
        """HMAC-SHA-256 of text under a transit key, 64 hexadecimal digits, the same at every call.

        key_version is named, never "the latest", so that rotating the key changes no secret by itself.
        """
        return self.compute_hmacs(key, [text], key_version)[text]

    def compute_hmacs(self, key: str, texts: Sequence[str], key_version: int = 1) -> dict[str, str]:
        """The same of many texts in one request: text → HMAC; of none (a lighthouse has no peer) without one."""
        if not texts:
            return {}  # OpenBao refuses an empty batch
        asked = f"compute an HMAC with transit key {key}"
        body = {
            "batch_input": [{"input": base64.b64encode(text.encode()).decode()} for text in texts],
            "key_version": key_version,
        }
        with self._explained(asked):
            path = f"{TRANSIT_MOUNT}/hmac/{_quote(key)}/sha2-256"
            found = self._client.adapter.post(f"/v1/{path}", json=body)["data"]["batch_results"]
        # hex, as Asterisk's files and telephones' forms give "+", "/" and "=" meanings of their own
        hmacs = [base64.b64decode(one["hmac"].rpartition(":")[2]).hex() for one in found]
        return dict(zip(texts, hmacs, strict=True))

    def put_policy(self, name: str, text: str, is_new: bool = False) -> bool:
        """Make or update a policy; True where something was written.

        A policy has no mark of its own: the name says whose it is. OpenBao compares and sets; Vault ignores
        `cas`. is_new: it is looked at only where it cannot be made, which spares a request where it is not there.
        """
        path = f"sys/policies/acl/{_quote(name)}"
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
        path = f"auth/{mount}/role/{_quote(name)}"
        if is_new:
            self.post(path, fields, f"write role {name}")
            return True
        return self.put_fields(path, f"role {name}", fields)

    def put_token_role(self, name: str, fields: dict[str, Any]) -> bool:
        """Make a role say these fields of the tokens that are made through it. True where something was written."""
        return self.put_fields(f"auth/token/roles/{_quote(name)}", f"role {name}", fields)

    def delete_policy(self, name: str) -> bool:
        """Delete a policy, whose name alone says whose it is; False where there is none."""
        return self.delete(f"sys/policies/acl/{_quote(name)}", f"policy {name}")

    def delete_role(self, mount: str, name: str) -> bool:
        """Delete a JWT role, whose name alone says whose it is; False where there is none."""
        return self.delete(f"auth/{mount}/role/{_quote(name)}", f"role {name}")

    def enable_kv(self, mount: str) -> bool:
        """Mount KV v2, where every write must be a compare-and-set; True where something was written."""
        written = self.enable("mounts", mount, {"type": "kv", "options": {"version": "2"}})
        held = self._read_kv_configuration(mount)
        if not held["cas_required"]:
            with self._explained(f"configure {mount}"):
                self._client.secrets.kv.v2.configure(cas_required=True, mount_point=mount)
            written = True
        return written

    def enable_transit(self, mount: str) -> bool:
        """Mount transit; True where something was written."""
        return self.enable("mounts", mount, {"type": "transit"})

    def create_transit_key(self, name: str) -> bool:
        """Make a key for HMACs that can be neither exported nor deleted; True where it was not there."""
        path = f"{TRANSIT_MOUNT}/keys/{_quote(name)}"
        if self.find(path, f"read transit key {name}"):
            return False
        with self._explained(f"make transit key {name}"):
            self._client.adapter.post(f"/v1/{path}", json={"type": "hmac", "key_size": KEY_BYTES})
        return True

    def enable_jwt(self, mount: str, jwks_url: str) -> bool:
        """Mount JWT auth that trusts the keys at this URL; True where written. Conflict where it trusts others."""
        written = self.enable("auth", mount, {"type": "jwt"})
        config = {"jwks_url": jwks_url, "jwt_supported_algs": ["RS256", "EdDSA"]}
        path = f"auth/{mount}/config"
        held = self.find(path, f"read the configuration of {mount}")
        if held and _says(held, config):
            return written
        if held and held.get("jwks_url") not in (None, "", jwks_url):
            # A write replaces the whole configuration, and every other workload of that Nomad with it.
            what = f"Vault's auth mount {mount} trusts {held['jwks_url']}, not {jwks_url}"
            raise Conflict.because(what, "name the same URL, or see whose mount it is")
        with self._explained(f"configure {mount}"):
            self._client.adapter.post(f"/v1/{path}", json=config)
        return True

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
        with self._explained("look at a token"):
            try:
                held = self._connect(token).auth.token.lookup_self()["data"]
            except Forbidden:
                return False
        return sorted(set(held["policies"]) - {"default"}) == sorted(policies)

    def login(self, mount: str, role: str, jwt: str) -> str:
        """The token that a workload identity is given. Denied or ServerError where the role is not for it."""
        asked = f"log in as role {role} through {mount}"
        with self._explained(asked):
            answer = self._connect("").auth.jwt.jwt_login(role=role, jwt=jwt, path=mount)
        return str(answer["auth"]["client_token"])

    def find(self, path: str, asked: str) -> dict[str, Any] | None:
        """The data at a path of any engine; None where there is nothing. asked is for people: "read role x"."""
        with self._explained(asked):
            try:
                return dict(self._client.adapter.get(f"/v1/{path}")["data"])
            except InvalidPath:
                return None

    def post(self, path: str, body: Mapping[str, Any], asked: str) -> dict[str, Any]:
        """What an engine's path answers to a body, such as a signature; {} where it only obeys."""
        with self._explained(asked):
            answer = self._client.adapter.post(f"/v1/{path}", json=dict(body))
        # hvac gives its bare response where there is no body
        return dict(answer.get("data") or {}) if isinstance(answer, dict) else {}

    def put_fields(self, path: str, what: str, fields: Mapping[str, Any]) -> bool:
        """Make what lies at a path say these fields; others keep their values. True where something was written."""
        held = self.find(path, f"read {what}")
        if held and _says(held, fields):
            return False
        self.post(path, fields, f"write {what}")
        return True

    def delete(self, path: str, what: str) -> bool:
        """Delete what lies at a path; False where there is nothing."""
        if self.find(path, f"read {what}") is None:
            return False
        with self._explained(f"delete {what}"):
            self._client.adapter.delete(f"/v1/{path}")
        return True

    def enable(self, kind: str, mount: str, body: dict[str, Any]) -> bool:
        """Mount an engine ("mounts") or a login ("auth"); True where written, Conflict where it is of another type."""
        asked = f"look at the mounts of {kind}"
        with self._explained(asked):
            held = self._client.adapter.get(f"/v1/sys/{kind}")["data"].get(f"{mount}/")
        if held:
            wanted = body.get("options") or {}
            if held["type"] != body["type"] or not _says(held.get("options") or {}, wanted):
                what = f"Vault's mount {mount} is there and is of another type ({held['type']})"
                raise Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")
            return False
        self.post(f"sys/{kind}/{_quote(mount)}", body, f"enable {body['type']} at {mount}")
        return True

    def find_accessor(self, mount: str) -> str:
        """By which the identities of a login's mount are told from others'."""
        with self._explained("look at the mounts of auth"):
            return str(self._client.adapter.get("/v1/sys/auth")["data"][f"{mount}/"]["accessor"])

    @property
    def place(self) -> tuple[str, str]:
        """Its URL, and the PEM of the authority that verifies it ("": a public one)."""
        ca_file = self._server.ca_file
        return self._server.address, Path(ca_file).read_text() if ca_file else ""

    def _write_policy(self, path: str, name: str, text: str, cas: int | None) -> None:
        body = {"policy": text, **({"cas": cas} if cas is not None else {})}
        with self._explained(f"write policy {name}", conflict="check-and-set"):
            self._client.adapter.post(f"/v1/{path}", json=body)

    def _connect(self, token: str) -> Any:
        server = self._server
        session = make_session(server)
        session.hooks["response"].append(decode_at_once)
        return hvac.Client(
            url=server.address,
            token=token,
            verify=server.verify,
            timeout=server.timeout_s,
            session=session,
        )

    def _read_kv_configuration(self, mount: str) -> dict[str, Any]:
        """A KV v2 mount's configuration; a new mount says for a moment that it is upgrading."""
        end = time.monotonic() + UPGRADE_S
        while True:
            with self._explained(f"read the configuration of {mount}"):
                try:
                    return dict(self._client.secrets.kv.v2.read_configuration(mount_point=mount)["data"])
                except InvalidRequest as error:
                    if "Upgrading" not in str(error) or time.monotonic() > end:
                        raise
            time.sleep(POLL_S)

    def _write(self, path: str, data: dict[str, Any], cas: int) -> int | None:
        """The new version; None where the compare-and-set lost."""
        with self._explained(f"write document {path}"):
            try:
                answer = self._client.secrets.kv.v2.create_or_update_secret(
                    _quote(path), secret=data, cas=cas, mount_point=KV_MOUNT
                )
            except InvalidRequest as error:
                if "check-and-set" in str(error):
                    return None
                raise
        return int(answer["data"]["version"])

    def _find_deleted(self, path: str) -> int:
        """The latest version where that is deleted or destroyed; 0 where it can be read."""
        held = self._read_versions(path)
        if held is None:
            return 0
        latest = held["versions"].get(str(held["current_version"]), {"destroyed": True})
        return int(held["current_version"]) if _is_gone(latest) else 0

    def _read_versions(self, path: str) -> dict[str, Any] | None:
        """KV's metadata of a document; None where there never was one."""
        with self._explained(f"read the versions of document {path}"):
            try:
                held = self._client.secrets.kv.v2.read_secret_metadata(_quote(path), mount_point=KV_MOUNT)
            except InvalidPath:
                return None
        return dict(held["data"])

    def _conflict(self, asked: str) -> RitiError:
        return Conflict.because(
            f"Vault did not {asked}: somebody wrote in between",
            "read again and decide again: run it once more",
        )

    @contextmanager
    def _explained(self, asked: str, conflict: str = "") -> Iterator[None]:
        try:
            yield
        except requests.RequestException as error:
            raise unreachable("Vault", self._server.address, asked, error) from error
        except VaultError as error:
            if conflict and conflict in str(error):
                raise self._conflict(asked) from error
            # its text names the URL and Vault's own words, never what was sent
            status = STATUSES.get(type(error).__name__, 500)
            words = ", ".join(error.errors or [str(error.args[0] or "")])
            raise refused("Vault", self._server.address, asked, status, words, TOKEN_VARIABLE) from error


def _quote(path: str) -> str:
    return quote(path, safe="/")


def _is_gone(version: Mapping[str, Any]) -> bool:
    return bool(version["destroyed"] or version.get("deletion_time"))


def _says(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether held has what is wanted; lists are sets to Vault."""
    return all(_sort(held.get(name)) == _sort(value) for name, value in wanted.items())


def _sort(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
