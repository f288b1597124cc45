"""What a box asks for once it is in: its document, its value, its check; and the tokens by which it asks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import random as any_random
from typing import Any, Protocol

from ritilib.box.servers import GatewayServers, Value
from ritilib.errors import Denied, ServerError, Unreachable
from ritilib.reconcile.backoff import Random

# Of tokens that live for an hour, so that a gateway that is away for ten minutes costs nobody a login.
RENEWED_AFTER_S = 2400.0
FORGOTTEN_AFTER = "72h"  # a box that is away over a weekend is still listed


@dataclass(frozen=True)
class Document:
    """The box's document in Vault, its latest version."""

    version: int
    data: Mapping[str, Any] = field(repr=False)


class OwnServers(Protocol):
    """What the agent asks, as satisfied by GatewayOwn, and by the fake of the tests. Methods raise as Gateway's do."""

    def watch(self, token: str, key: str, moved: int) -> Value: ...
    def put(self, token: str, key: str, data: bytes, index: int | None = None) -> bool: ...
    def read_document(self, vault_token: str) -> Document | None: ...
    def register(self, token: str, ttl_s: float) -> None: ...
    def tell_check(self, token: str, status: str, note: str) -> bool: ...
    def sign_in(self) -> tuple[str, str]: ...


class GatewayOwn(GatewayServers):
    """One thread's requests: a gateway has one connection at a time."""

    def read_document(self, vault_token: str) -> Document | None:
        """The box's document; None where there is none yet."""
        path, asked = f"/v1/{self._names.box_vault_path}", "read the box's document"
        answer = self._gateway.ask("GET", path, asked, {"X-Vault-Token": vault_token}, accepted=(404,))
        if answer.status == 404:
            return None
        held = answer.decode()
        try:
            return Document(int(held["data"]["metadata"]["version"]), dict(held["data"]["data"]))
        except (KeyError, TypeError, ValueError):
            raise ServerError.because("Vault's answer is no document", "see the gateway's log") from None

    def register(self, token: str, ttl_s: float) -> None:
        """Make the box known to the agent of Consul that answers, with a check that ends after ttl_s."""
        name = self._names.box_role
        check = {
            "Name": "box",
            "TTL": f"{ttl_s:.0f}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": FORGOTTEN_AFTER,
        }
        body = json.dumps({"ID": name, "Name": name, "Check": check}).encode()
        self._gateway.ask(
            "PUT", "/v1/agent/service/register", "register the box", {"X-Consul-Token": token}, body
        )

    def tell_check(self, token: str, status: str, note: str) -> bool:
        """status is "passing" or "warning"; False where that agent of Consul does not know the box (yet)."""
        verb = {"passing": "pass", "warning": "warn"}[status]
        path = f"/v1/agent/check/{verb}/service:{self._names.box_role}"
        answer = self._gateway.ask(
            "PUT",
            path,
            "tell how the box is",
            {"X-Consul-Token": token},
            query={"note": note},
            accepted=(404,),
        )
        return answer.status != 404

    def sign_in(self) -> tuple[str, str]:
        """Tokens of Vault and of Consul for the box's certificate. Denied where it is not let in any more."""
        vault_token = self.login_by_certificate()
        return vault_token, self.login_by_jwt(self.take_jwt(vault_token))


@dataclass(frozen=True)
class Tokens:
    """due_s: when they are to be had anew (monotonic seconds)."""

    vault: str = field(repr=False)
    consul: str = field(repr=False)
    due_s: float


class Access:
    """The box's tokens, for all its threads: one signs in, the others wait for that.

    connect makes the servers for one thread, with the certificate as it is now; has_certificate: whether there is one.
    """

    def __init__(
        self,
        connect: Callable[[], OwnServers],
        has_certificate: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        random: Random = any_random,
    ) -> None:
        self.connect = connect
        self._has_certificate = has_certificate
        self._monotonic, self._random = monotonic, random
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._certified = threading.Event()
        self.certificates = 0  # that there have been: a connection shows the one that it was made with

    def certify(self) -> None:
        """There is a certificate, or another one: whoever waits goes on, with new tokens."""
        with self._lock:
            self._tokens = None
            self.certificates += 1
        self._certified.set()

    def wait_certified(self, timeout_s: float) -> bool:
        """Whether the box is in, which may be waited for."""
        return self._certified.wait(timeout_s)

    def take(self) -> Tokens:
        """Tokens that are good; Unreachable where nobody gives any, Denied where the box is shut out."""
        with self._lock:
            if self._tokens and self._monotonic() < self._tokens.due_s:
                return self._tokens
            if not self._has_certificate():
                raise Unreachable.because("the box is not let in yet", "see `riti enroll list`")
            vault, consul = self.connect().sign_in()
            due_s = self._monotonic() + RENEWED_AFTER_S * (1 - 0.5 * self._random())
            self._tokens = Tokens(vault, consul, due_s)
            return self._tokens

    def forget(self, tokens: Tokens) -> None:
        """These were denied: whoever asks next signs in again."""
        with self._lock:
            if self._tokens is tokens:
                self._tokens = None


class Asking:
    """One thread's way to the servers: its own connection, and the shared tokens, given up where they are denied."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._servers: OwnServers | None = None
        self._shown = 0

    def ask(self, act: Callable[[OwnServers, Tokens], Any]) -> Any:
        """What act returns; it raises as the servers do."""
        tokens = self._access.take()
        if self._servers is None or self._shown != self._access.certificates:
            self._shown = self._access.certificates
            self._servers = self._access.connect()
        try:
            return act(self._servers, tokens)
        except Denied:
            self._access.forget(tokens)
            raise
