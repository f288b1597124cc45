"""Consul in memory: KV with compare-and-set and its index, and the ACL objects that are written."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ritilib.clients.consul_values import BindingRule, Entry, Keys, Tree, Watched
from ritilib.clients.tokens import Issued
from ritilib.errors import Conflict, Denied
from tests.fakes.journal import Journal

Folded = TypeVar("Folded")


class FakeConsul:
    """A ConsulClient. ACLs are kept, not enforced; deletions are remembered for ever; no session ends by itself."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.moved = threading.Condition()
        self.index = 1
        self.entries: dict[str, Entry] = {}
        self.deleted: dict[str, int] = {}
        self.policies: dict[str, tuple[str, str]] = {}
        self.roles: dict[str, tuple[tuple[str, ...], str]] = {}
        self.auth_methods: dict[str, tuple[dict[str, Any], str]] = {}
        self.longest_s: dict[str, int] = {}
        self.binding_rules: dict[str, list[BindingRule]] = {}
        self.tokens: dict[str, tuple[str, ...]] = {}
        self.accessors: dict[str, str] = {}
        self.sessions: set[str] = set()
        self.connection_limit = 16384

    def read(self, key: str) -> Entry | None:
        self.journal.ask(f"consul read {key}")
        return self.entries.get(key)

    def read_all(self, keys: Sequence[str]) -> dict[str, Entry]:
        for _ in range(0, len(keys), 64):
            self.journal.ask("consul read many keys")
        return {key: self.entries[key] for key in keys if key in self.entries}

    def read_tree(self, prefix: str) -> Tree:
        self.journal.ask(f"consul read {prefix}*")
        return Tree(self._index_of(prefix), tuple(self.entries[key] for key in self._below(prefix)))

    def fold_tree(self, prefix: str, act: Callable[[Entry], Folded]) -> tuple[int, dict[str, Folded]]:
        tree = self.read_tree(prefix)
        return tree.index, {entry.key: act(entry) for entry in tree.entries}

    def list_keys(self, prefix: str, index: int = 0, wait_s: float = 0.0) -> Keys:
        self.journal.ask(f"consul list {prefix}*")
        end = time.monotonic() + wait_s
        with self.moved:
            while self._index_of(prefix) == index and (left := end - time.monotonic()) > 0:
                self.moved.wait(left)
            return Keys(self._index_of(prefix), self._below(prefix))

    def write(self, key: str, value: bytes, modify_index: int) -> int:
        return self.write_all([(key, value, modify_index)])[0]

    def write_all(self, writes: Sequence[tuple[str, bytes | None, int]]) -> tuple[int, ...]:
        held = [self.entries.get(key) for key, _, _ in writes]
        if [one.modify_index if one else 0 for one in held] != [index for _, _, index in writes]:
            raise _conflict(f"write {', '.join(key for key, _, _ in writes)}")
        with self.moved:
            self.index += 1
            for (key, value, _), one in zip(writes, held, strict=True):
                if value is None:
                    del self.entries[key]
                    self.deleted[key] = self.index
                elif one is None or one.value != value:
                    self.entries[key] = Entry(key, value, self.index, one.session if one else "")
            self.moved.notify_all()
        self.journal.write(f"consul write {', '.join(key for key, _, _ in writes)}")
        return tuple(0 if value is None else self.entries[key].modify_index for key, value, _ in writes)

    def put(self, key: str, value: bytes) -> bool:
        held = self.read(key)
        if held and held.value == value:
            return False
        self.write(key, value, held.modify_index if held else 0)
        return True

    def delete(self, key: str, modify_index: int) -> None:
        held = self.entries.get(key)
        if held and held.modify_index != modify_index:
            raise _conflict(f"delete key {key}")
        if held:
            with self.moved:
                self.index += 1
                del self.entries[key]
                self.deleted[key] = self.index
                self.moved.notify_all()
            self.journal.write(f"consul delete {key}")

    def watch(self, key: str, index: int, wait_s: float) -> Watched:
        self.journal.ask(f"consul watch {key}")
        return Watched(self._index_of(key), self.entries.get(key))

    def create_session(self, name: str, ttl_s: float, lock_delay_s: float) -> str:
        session = str(uuid.uuid4())
        self.sessions.add(session)
        self.journal.write(f"consul create session {name}")
        return session

    def renew_session(self, session: str) -> None:
        self.journal.ask("consul renew session")
        if session not in self.sessions:
            raise _conflict("renew our session")

    def destroy_session(self, session: str) -> None:
        self.sessions.discard(session)
        for key, one in list(self.entries.items()):
            if one.session == session:
                self._store(key, one.value, "")
        self.journal.write("consul destroy session")

    def lock(self, key: str, value: bytes, session: str, modify_index: int) -> int:
        held = self.entries.get(key)
        if (
            (held.modify_index if held else 0) != modify_index
            or session not in self.sessions
            or (held and held.session not in ("", session))
        ):
            raise _conflict(f"lock key {key}")
        return self._store(key, value, session, f"consul lock {key}")

    def unlock(self, key: str, value: bytes, session: str, modify_index: int) -> int:
        held = self.entries.get(key)
        if held is None or held.modify_index != modify_index or held.session != session:
            raise _conflict(f"unlock key {key}")
        return self._store(key, value, "", f"consul unlock {key}")

    def put_policy(self, name: str, rules: str, description: str, is_new: bool = False) -> bool:
        return self._put("policy", self.policies, name, (rules, description))

    def put_role(self, name: str, policies: tuple[str, ...], description: str, is_new: bool = False) -> bool:
        return self._put("role", self.roles, name, (tuple(sorted(policies)), description))

    def delete_policy(self, name: str, description: str) -> bool:
        return self._delete("policy", self.policies, name, description)

    def delete_role(self, name: str, description: str) -> bool:
        return self._delete("role", self.roles, name, description)

    def put_auth_method(
        self, name: str, config: dict[str, Any], description: str, longest_s: int | None = None
    ) -> bool:
        held = self.auth_methods.get(name)
        if held and held[0] == config and longest_s in (None, self.longest_s.get(name)):
            return False
        if held and not held[1].startswith("riti "):
            raise _conflict(f"write auth method {name}")
        self.auth_methods[name] = (config, description)
        if longest_s is not None:
            self.longest_s[name] = longest_s
        self.journal.write(f"consul write auth method {name}")
        return True

    def list_binding_rules(self, auth_method: str) -> tuple[BindingRule, ...]:
        self.journal.ask(f"consul list binding rules of {auth_method}")
        return tuple(self.binding_rules.get(auth_method, ()))

    def put_binding_rule(
        self, auth_method: str, bind_type: str, bind_name: str, selector: str, description: str
    ) -> bool:
        rules = self.binding_rules.setdefault(auth_method, [])
        held = next((one for one in rules if one.description == description), None)
        identity = held.id if held else str(uuid.uuid4())
        wanted = BindingRule(identity, bind_type, bind_name, selector, description)
        if held == wanted:
            return False
        rules[:] = [one for one in rules if one is not held] + [wanted]
        self.journal.write(f"consul write a binding rule of {auth_method}")
        return True

    def create_token(self, policies: tuple[str, ...], description: str) -> str:
        token = str(uuid.uuid4())
        self.tokens[token] = tuple(sorted(policies))
        self.journal.write(f"consul create a token ({description})")
        return token

    def issue_token(self, policies: tuple[str, ...], description: str, ttl_s: int) -> Issued:
        issued = Issued(self.create_token(policies, description), str(uuid.uuid4()))
        self.accessors[issued.accessor] = issued.secret
        return issued

    def list_tokens(self, policy: str) -> tuple[str, ...]:
        self.journal.ask(f"consul list the tokens with {policy}")
        return tuple(sorted(one for one, secret in self.accessors.items() if policy in self.tokens[secret]))

    def revoke_token(self, accessor: str) -> None:
        self.tokens.pop(self.accessors.pop(accessor, ""), None)
        self.journal.write("consul revoke a token")

    def has_token(self, token: str, policies: tuple[str, ...]) -> bool:
        self.journal.ask("consul look at a token")
        return self.tokens.get(token) == tuple(sorted(policies))

    def read_connection_limit(self) -> int:
        self.journal.ask("consul read its agent's configuration")
        return self.connection_limit

    def login(self, auth_method: str, jwt: str) -> str:
        raise Denied.because("the fake knows no workload identities", "use the real Consul")

    def _put(self, kind: str, place: dict[str, Any], name: str, wanted: tuple[Any, str]) -> bool:
        held = place.get(name)
        if held and held[1].split()[:2] != wanted[1].split()[:2]:
            raise _conflict(f"write {kind} {name}")
        if held == wanted:
            return False
        place[name] = wanted
        self.journal.write(f"consul write {kind} {name}")
        return True

    def _store(self, key: str, value: bytes, session: str, words: str = "") -> int:
        self.index += 1
        self.entries[key] = Entry(key, value, self.index, session)
        if words:
            self.journal.write(words)
        return self.index

    def _delete(self, kind: str, place: dict[str, Any], name: str, description: str) -> bool:
        self.journal.ask(f"consul read {kind} {name}")
        if name not in place:
            return False
        if place[name][1] != description:
            raise _conflict(f"delete {kind} {name}")
        del place[name]
        self.journal.write(f"consul delete {kind} {name}")
        return True

    def _below(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(key for key in self.entries if key.startswith(prefix)))

    def _index_of(self, prefix: str) -> int:
        below = [one.modify_index for key, one in self.entries.items() if key.startswith(prefix)]
        below += [index for key, index in self.deleted.items() if key.startswith(prefix)]
        return max(below, default=self.index)


def _conflict(asked: str) -> Conflict:
    return Conflict.because(f"the fake did not {asked}: somebody wrote in between", "read again")
