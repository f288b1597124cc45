"""Consul's KV and ACL, as the controller uses them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import consul
import requests
from consul.base import Response
from consul.exceptions import ConsulException

from ritilib.clients.consul_values import LOST, BindingRule, Entry, Keys, Tree, Watched, make_entry, says
from ritilib.clients.session import NotTheServer, decode, make_session, refuse_part, refused, unreachable
from ritilib.clients.settings import Settings
from ritilib.clients.streaming import read_entries
from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict, RitiError, ServerError

__all__ = ["BindingRule", "Consul", "Entry", "Keys", "Tree", "Watched"]

Folded = TypeVar("Folded")
TOKEN_VARIABLE = "CONSUL_HTTP_TOKEN"

# The library's words (py-consul 1.8, callback.py) for an answer that is not Consul's, or that was cut short.
FOREIGN = ("Failed to decode JSON", "Missing index header")


class Consul:
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

    def put_auth_method(self, name: str, config: dict[str, Any], description: str) -> bool:
        """Make or update a JWT auth method; True where written.

        One that says the same already is left as it is, whoever made it; Conflict where another's does not.
        """
        asked = f"write auth method {name}"
        held = self._read(f"acl/auth-method/{name}", f"read auth method {name}")
        if held and held["Type"] == "jwt" and says(held.get("Config") or {}, config):
            return False
        if held and not held.get("Description", "").startswith("riti "):
            raise self._foreign("auth method", name)
        with self._explained(asked):
            put = self._client.acl.auth_method.update if held else self._client.acl.auth_method.create
            put(name, "jwt", description=description, config=config, token_locality="local")
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

    def read_connection_limit(self) -> int:
        """How many connections this agent grants to one client address (0: any number). Needs agent:read."""
        found = self._send("GET", "agent/self", "read its agent's configuration")
        return int((found.get("DebugConfig") or {}).get("HTTPMaxConnsPerClient", 0))

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
        token = {"X-Consul-Token": self._server.token}
        url, timeout_s = f"{self._server.address}/v1/{path}", self._server.timeout_s
        return session.get(url, headers=token, timeout=timeout_s, stream=True)

    def _conflict(self, asked: str) -> RitiError:
        return Conflict.because(
            f"Consul did not {asked}: somebody wrote in between",
            "read again and decide again: run it once more",
        )

    def _foreign(self, kind: str, name: str) -> RitiError:
        what = f"Consul's {kind} {name} is there and does not carry this fleet's mark"
        return Conflict.because(what, "see whose it is; RITI changes nothing that is not its own")

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
