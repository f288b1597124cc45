"""Consul's KV and ACL, as the controller uses them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import consul
import requests
from consul.base import Response
from consul.exceptions import ConsulException

from ritilib.clients.consul_acl import ConsulAcl
from ritilib.clients.consul_values import LOST, BindingRule, Entry, Keys, Tree, Watched, make_entry
from ritilib.clients.session import NotTheServer, decode, make_session, refuse_part, refused, unreachable
from ritilib.clients.settings import Settings
from ritilib.clients.streaming import UNPACKED, read_entries
from ritilib.errors import ServerError

__all__ = ["BindingRule", "Consul", "Entry", "Keys", "Tree", "Watched"]

Folded = TypeVar("Folded")
TRANSACTION = 64  # operations at the most
TOKEN_VARIABLE = "CONSUL_HTTP_TOKEN"

# The library's words (py-consul 1.8, callback.py) for an answer that is not Consul's, or that was cut short.
FOREIGN = ("Failed to decode JSON", "Missing index header")


class Consul(ConsulAcl):
    """One Consul, with one token.

    Methods raise Unreachable (no answer), Denied (the token may not), Conflict (a compare-and-set lost, or
    the object is not ours) and ServerError. Writes are never tried again, but for one that it refused as too many.
    """

    def __init__(self, settings: Settings, session: requests.Session | None = None) -> None:
        """session is one of make_session's where none is given; a WatchSession lets a blocking query be ended."""
        self._server = settings.consul
        parts = urlsplit(self._server.address)
        self._client = consul.Consul(
            host=f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
            port=parts.port or (443 if parts.scheme == "https" else 80),
            scheme=parts.scheme,
            verify=self._server.verify,
            connections_timeout=self._server.timeout_s,
        )
        # The library prefers CONSUL_HTTP_TOKEN of its own environment to the token that it is given.
        self._client.token = self._server.token
        self._client.http.session = session or make_session(self._server)
        self._client.http.session.hooks["response"].append(refuse_part)

    def read(self, key: str) -> Entry | None:
        """One key; None where it is not there."""
        with self._explained(f"read key {key}"):
            _, found = self._client.kv.get(key)
        return make_entry(found) if found else None

    def read_all(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Those of these keys that are there, in one request for each 64: what lies beside them is not sent."""
        found: dict[str, Entry] = {}
        for first in range(0, len(keys), TRANSACTION):
            some = keys[first : first + TRANSACTION]
            asked = f"read {_name_keys(some)}"
            # a transaction with `get` fails where one of its keys has gone
            answer = self._send(
                "PUT", "txn", asked, [{"KV": {"Verb": "get-tree", "Key": key}} for key in some]
            )
            for one in answer["Results"] or ():
                entry = one["KV"]
                found[entry["Key"]] = make_entry(entry | {"Value": base64.b64decode(entry["Value"] or "")})
        return {key: found[key] for key in keys if key in found}

    def read_tree(self, prefix: str) -> Tree:
        """All keys below a prefix with their values, in one request; Denied where the token may not read them all."""
        index, found = self.fold_tree(prefix, lambda entry: entry)
        return Tree(index, tuple(sorted(found.values(), key=lambda one: one.key)))

    def fold_tree(self, prefix: str, act: Callable[[Entry], Folded]) -> tuple[int, dict[str, Folded]]:
        """The same, with act of each entry as it comes: (index as in Keys, key → what act made of it).

        No two values are held at once: 10,000 of 20 KB are 270 MB in one answer.
        """
        asked = f"read keys below {prefix}"
        with self._explained(asked), self._stream(f"kv/{quote(prefix)}?recurse") as answer:
            if answer.status_code not in (200, 404):
                raise self._refused(asked, answer.status_code, answer.text)
            index = int(answer.headers.get("X-Consul-Index", -1))
            if index < 0:
                raise NotTheServer("what answered is not Consul")
            entries = read_entries(answer) if answer.status_code == 200 else ()
            return index, {entry.key: act(entry) for entry in entries}

    def list_keys(self, prefix: str, index: int = 0, wait_s: float = 0.0) -> Keys:
        """The keys below a prefix, without values, in one request; Denied where the token may not read them all.

        With an index that an earlier answer gave, the answer comes when Consul's index is another one, or after
        wait_s (and up to a sixteenth more) with the same index: a blocking query.

        The index, as tried on Consul 1.15.3 (state/kvs.go, kvsListTxn): the highest ModifyIndex of the keys
        below the prefix and of the deletions below it that Consul still remembers (15 minutes); where there
        is neither, the index of the whole KV, which any write moves (1 where nothing was written).
        Writes elsewhere do not move the index of a prefix that has keys. So two answers with the same index
        and the same keys have the same values: a changed or re-made key has a higher index than any before,
        and a key that is gone is seen by its absence. The index can go backwards without a restore, when a
        deletion is forgotten: it then falls to the highest ModifyIndex of the keys that are left.
        """
        with self._explained(f"list keys below {prefix}"):
            now, found = self._client.kv.get(prefix, index=index or None, wait=f"{wait_s:.3f}s", keys=True)
        return Keys(int(now), tuple(sorted(found or ())))

    def write(self, key: str, value: bytes, modify_index: int) -> int:
        """Write a key that still has this ModifyIndex (0: that is not there yet); the new ModifyIndex.

        A transaction of one operation, since only that answers with the new index. 512 KB at most.
        """
        return self.write_all([(key, value, modify_index)])[0]

    def write_all(self, writes: Sequence[tuple[str, bytes | None, int]]) -> tuple[int, ...]:
        """Write all of these (key, value, ModifyIndex as for write) or none, in one request; their new ModifyIndexes.

        A key whose value is None is deleted, and has index 0. Conflict where any of them has another index. 64 writes
        and 512 KB at most, together.
        """
        operations = [
            {"Verb": "delete-cas", "Key": key, "Index": index}
            if value is None
            else {"Verb": "cas", "Key": key, "Value": base64.b64encode(value).decode(), "Index": index}
            for key, value, index in writes
        ]
        written = iter(self._transact(f"write {_name_keys([key for key, _, _ in writes])}", *operations))
        return tuple(0 if value is None else next(written) for _, value, _ in writes)

    def put(self, key: str, value: bytes) -> bool:
        """Have a key say this; True where something was written. Conflict where another writes it meanwhile."""
        held = self.read(key)
        if held and held.value == value:
            return False
        self.write(key, value, held.modify_index if held else 0)
        return True

    def delete(self, key: str, modify_index: int) -> None:
        """Delete a key that still has this ModifyIndex; one that is already gone is no conflict."""
        asked = f"delete key {key}"
        with self._explained(asked):
            done = self._client.kv.delete(key, cas=modify_index)
        if not done:
            raise self._conflict(asked)

    def watch(self, key: str, index: int, wait_s: float) -> Watched:
        """One key as soon as its index is another than this one, or after wait_s; index 0 answers at once."""
        waiting = {"index": index, "wait": f"{wait_s:.1f}s"} if index else {}
        with self._explained(f"watch key {key}"):
            now, found = self._client.kv.get(key, **waiting)
        return Watched(int(now), make_entry(found) if found else None)

    def create_session(self, name: str, ttl_s: float, lock_delay_s: float) -> str:
        """A session that Consul ends when it is not renewed; its id.

        It lives for ttl_s (10 to 86,400) at the least and twice that at the most (session_ttl.go), longer while
        Consul has no leader. It is bound to no health check, so that its owner can tell by his own clock how long
        he has it at the least. When it ends, keys that it locks stay, unlocked, and cannot be locked for lock_delay_s.
        """
        body = {
            "Name": name,
            "TTL": f"{ttl_s:.0f}s",
            "LockDelay": f"{lock_delay_s * 1000:.0f}ms",
            "Behavior": "release",
            "NodeChecks": [],
        }
        return str(self._send("PUT", "session/create", f"create session {name}", body)["ID"])

    def renew_session(self, session: str) -> None:
        """Give a session its whole time again; Conflict where it is gone."""
        asked = "renew our session"
        if self._send("PUT", f"session/renew/{session}", asked, accepted=(404,)) is None:
            raise self._conflict(asked)

    def destroy_session(self, session: str) -> None:
        """End a session; one that is gone already is fine."""
        self._send("PUT", f"session/destroy/{session}", "destroy our session")

    def lock(self, key: str, value: bytes, session: str, modify_index: int) -> int:
        """Lock and write, in one transaction, a key that has this ModifyIndex (0: is not there); its new one.

        A key that this session holds already is written and stays locked. Conflict where another session holds
        it, where somebody wrote in between, where the session is gone, and during the lock delay.
        """
        return self._lock("lock", key, value, session, modify_index)

    def unlock(self, key: str, value: bytes, session: str, modify_index: int) -> int:
        """Write and unlock a key that this session holds and that has this ModifyIndex; its new one."""
        return self._lock("unlock", key, value, session, modify_index)

    def read_connection_limit(self) -> int:
        """How many connections this agent grants to one client address (0: any number). Needs agent:read."""
        found = self._send("GET", "agent/self", "read its agent's configuration")
        return int((found.get("DebugConfig") or {}).get("HTTPMaxConnsPerClient", 0))

    def _lock(self, verb: str, key: str, value: bytes, session: str, modify_index: int) -> int:
        same: dict[str, Any] = {"Verb": "check-index", "Index": modify_index}
        check = {"Key": key, **(same if modify_index else {"Verb": "check-not-exists"})}
        write = {"Verb": verb, "Key": key, "Value": base64.b64encode(value).decode(), "Session": session}
        return self._transact(f"{verb} key {key}", check, write)[-1]

    def _transact(self, asked: str, *operations: dict[str, Any]) -> tuple[int, ...]:
        """The ModifyIndex of each key that an operation wrote, in their order; a deleted one has none."""
        answer = self._send("PUT", "txn", asked, [{"KV": one} for one in operations])
        return tuple(int(one["KV"]["ModifyIndex"]) for one in answer["Results"] or ())

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
        """One call by the library's own connection; None for a status that is accepted as "not there"."""
        headers = {"X-Consul-Token": self._server.token if token is None else token}
        http = self._client.http
        extra = {} if body is None else {"data": json.dumps(body)}
        with self._explained(asked):
            send = {"GET": http.get, "PUT": http.put, "POST": http.post, "DELETE": http.delete}[method]
            answer: Response = send(lambda given: given, f"/v1/{path}", params, headers=headers, **extra)
            if 200 <= answer.code < 300:
                return decode(answer.body)
        if answer.code in accepted:
            return None
        if answer.code == 409:
            said = "; ".join(one["What"] for one in json.loads(answer.body)["Errors"])
            if any(words in said for words in LOST):
                raise self._conflict(asked)
            denied = "Permission denied" in said or "lacks permission" in said
            raise self._refused(asked, 403 if denied else 409, said)
        raise self._refused(asked, answer.code, answer.body)

    def _stream(self, path: str) -> requests.Response:
        """The answer to a read, whose body is not read yet; close it."""
        session: requests.Session = self._client.http.session
        headers = {"X-Consul-Token": self._server.token, **UNPACKED}
        url, timeout_s = f"{self._server.address}/v1/{path}", self._server.timeout_s
        return session.get(url, headers=headers, timeout=timeout_s, stream=True)

    def _refused(self, asked: str, status: int, words: str) -> ServerError:
        return refused("Consul", self._server.address, asked, status, words, TOKEN_VARIABLE)

    @contextmanager
    def _explained(self, asked: str) -> Iterator[None]:
        try:
            yield
        except requests.RequestException as error:
            raise unreachable("Consul", self._server.address, asked, error) from error
        except ConsulException as error:
            if str(error).startswith(FOREIGN):
                foreign = NotTheServer("what answered is not Consul, or was cut short")
                raise unreachable("Consul", self._server.address, asked, foreign) from error
            raise self._refused(asked, _find_status(error), str(error)) from error


def _name_keys(keys: Sequence[str]) -> str:
    return f"key {keys[0]}" + (f" and {len(keys) - 1} more" if keys[1:] else "")


def _find_status(error: ConsulException) -> int:
    """The library keeps the status in its exception's class, or as the first word of its text."""
    if isinstance(error, consul.ACLPermissionDenied):
        return 403
    if isinstance(error, consul.ACLDisabled):
        return 401
    if isinstance(error, consul.NotFound):
        return 404
    first = str(error).split(" ", 1)[0]
    return int(first) if first.isdigit() else 500
