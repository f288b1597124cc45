"""Vault's (or OpenBao's) documents, HMACs and mounts, as the controller uses them."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError

from ritilib.clients.session import decode_at_once, make_session, refused, unreachable
from ritilib.clients.settings import Settings
from ritilib.clients.vault_acl import VaultAcl
from ritilib.clients.vault_values import Document, is_gone, says
from ritilib.errors import Conflict, RitiError

__all__ = ["KV_MOUNT", "TRANSIT_MOUNT", "Document", "Vault"]

TOKEN_VARIABLE = "VAULT_TOKEN"
KV_MOUNT = "riti"
TRANSIT_MOUNT = "riti-transit"
KEY_BYTES = 32
UPGRADE_S = 30.0
POLL_S = 0.05
STATUSES = {
    "InvalidRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "InvalidPath": 404,
    "RateLimitExceeded": 429,
    "BadGateway": 502,
    "VaultDown": 503,
}


class Vault(VaultAcl):
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
                    quote(path), mount_point=KV_MOUNT, raise_on_deleted_version=True
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
            int(number) for number, one in (held["versions"] if held else {}).items() if not is_gone(one)
        ]
        if not versions:
            return False
        with self._explained(f"delete document {path}"):
            self._client.secrets.kv.v2.delete_secret_versions(
                quote(path), versions=versions, mount_point=KV_MOUNT
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
                quote(path), versions=versions, mount_point=KV_MOUNT
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
            path = f"{TRANSIT_MOUNT}/hmac/{quote(key)}/sha2-256"
            found = self._client.adapter.post(f"/v1/{path}", json=body)["data"]["batch_results"]
        # hex, as Asterisk's files and telephones' forms give "+", "/" and "=" meanings of their own
        hmacs = [base64.b64decode(one["hmac"].rpartition(":")[2]).hex() for one in found]
        return dict(zip(texts, hmacs, strict=True))

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
        path = f"{TRANSIT_MOUNT}/keys/{quote(name)}"
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
        if held and says(held, config):
            return written
        if held and held.get("jwks_url") not in (None, "", jwks_url):
            # A write replaces the whole configuration, and every other workload of that Nomad with it.
            what = f"Vault's auth mount {mount} trusts {held['jwks_url']}, not {jwks_url}"
            raise Conflict.because(what, "name the same URL, or see whose mount it is")
        with self._explained(f"configure {mount}"):
            self._client.adapter.post(f"/v1/{path}", json=config)
        return True

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
        if held and says(held, fields):
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
            if held["type"] != body["type"] or not says(held.get("options") or {}, wanted):
                what = f"Vault's mount {mount} is there and is of another type ({held['type']})"
                raise Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")
            return False
        self.post(f"sys/{kind}/{quote(mount)}", body, f"enable {body['type']} at {mount}")
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

    def _look_at(self, token: str) -> dict[str, Any] | None:
        with self._explained("look at a token"):
            try:
                return dict(self._connect(token).auth.token.lookup_self()["data"])
            except Forbidden:
                return None

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
                    quote(path), secret=data, cas=cas, mount_point=KV_MOUNT
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
        return int(held["current_version"]) if is_gone(latest) else 0

    def _read_versions(self, path: str) -> dict[str, Any] | None:
        """KV's metadata of a document; None where there never was one."""
        with self._explained(f"read the versions of document {path}"):
            try:
                held = self._client.secrets.kv.v2.read_secret_metadata(quote(path), mount_point=KV_MOUNT)
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
