"""Consul and Vault as a box's agent asks them, in memory: one value for each key, tokens that end, a check."""

from __future__ import annotations

import threading
import time

from ritilib.box.own import Document
from ritilib.box.servers import Value
from ritilib.errors import Denied, Unreachable

WAIT_S = 1.0


class FakeOwn:
    """An OwnServers for every thread at once. is_away: nobody answers. Writes are counted by key."""

    def __init__(self, document: Document | None = None) -> None:
        self.moved = threading.Condition()
        self.index = 1
        self.values: dict[str, Value] = {}
        self.document = document
        self.is_away = False
        self.is_known = False
        self.checks: list[tuple[str, str]] = []
        self.writes: dict[str, int] = {}
        self.sign_ins = 0
        self.good: set[str] = set()

    def set(self, key: str, data: bytes) -> None:
        """As the controller writes it."""
        with self.moved:
            self.index += 1
            self.values[key] = Value(self.index, self.index, data)
            self.moved.notify_all()

    def end_tokens(self) -> None:
        with self.moved:
            self.good.clear()

    def sign_in(self) -> tuple[str, str]:
        self._answer()
        with self.moved:
            self.sign_ins += 1
            tokens = f"vault-{self.sign_ins}", f"consul-{self.sign_ins}"
            self.good |= {*tokens}
        return tokens

    def watch(self, token: str, key: str, moved: int) -> Value:
        self._admit(token)
        end_s = time.monotonic() + WAIT_S
        with self.moved:
            while moved and self._find(key).moved == moved and (left_s := end_s - time.monotonic()) > 0:
                self.moved.wait(left_s)
        self._answer()
        return self._find(key)

    def put(self, token: str, key: str, data: bytes, index: int | None = None) -> bool:
        self._admit(token)
        if index is not None and self._find(key).index != index:
            return False
        self.set(key, data)
        self.writes[key] = self.writes.get(key, 0) + 1
        return True

    def read_document(self, vault_token: str) -> Document | None:
        self._admit(vault_token)
        return self.document

    def register(self, token: str, ttl_s: float) -> None:
        self._admit(token)
        assert ttl_s > 0
        self.is_known = True

    def tell_check(self, token: str, status: str, note: str) -> bool:
        self._admit(token)
        if self.is_known:
            self.checks.append((status, note))
        return self.is_known

    def _find(self, key: str) -> Value:
        return self.values.get(key) or Value(0, self.index, b"")

    def _admit(self, token: str) -> None:
        self._answer()
        if token not in self.good:
            raise Denied.because("the fake does not know this token", "sign in again")

    def _answer(self) -> None:
        if self.is_away:
            raise Unreachable.because("the fake is away", "wait")
