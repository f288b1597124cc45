"""What a box asks, counted; and the same asked of Consul and Vault themselves, as the gateway asks them."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout

from ritilib.box.clock import Clock
from ritilib.box.gateway import ANSWER_S, CONNECT_S, Answer, Busy, Gateway
from ritilib.devstack.record import LOOPBACK
from ritilib.devstack.servers.certificates import VAULT_NAME
from ritilib.errors import Denied, RitiError, Unreachable

OF_CONSUL = ("/v1/acl/", "/v1/kv/", "/v1/agent/")


@dataclass(frozen=True)
class Sent:
    """One request of a box: when (Unix time), and what came of it ("" while it is not answered)."""

    at: float
    result: str = ""


@dataclass
class Ledger:
    """Requests of one box, the newest last."""

    sent: list[Sent] = field(default_factory=list)

    def begin(self) -> None:
        self.sent.append(Sent(time.time()))

    def end(self, result: str) -> None:
        self.sent[-1] = Sent(self.sent[-1].at, result)


class Turns(AbstractContextManager[None]):
    """So many boxes of one process compute at a time, and so many have asked and are not answered yet, but for what the
    server holds until something changes.

    A box has a processor of its own; here ten thousand threads that all want Python's lock would only fight for it.
    """

    def __init__(self, most: int, asking: int) -> None:
        self._free, self._asking = threading.Semaphore(most), threading.Semaphore(asking)

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(self, *_: object) -> None:
        self._free.release()

    def away(self, act: Callable[[], Any]) -> Any:
        """Do what waits for long, out of turn."""
        self._free.release()
        try:
            return act()
        finally:
            self._free.acquire()

    def ask(self, act: Callable[[], Any]) -> Any:
        """The same for what is answered soon."""
        self._free.release()
        try:
            with self._asking:
                return act()
        finally:
            self._free.acquire()


class CountedGateway(Gateway):
    """The box's gateway as it is, with a ledger."""

    def __init__(
        self, addresses: Sequence[str], authority: str, clock: Clock, ledger: Ledger, turns: Turns
    ) -> None:
        super().__init__(addresses, authority, clock)
        self._ledger, self._turns = ledger, turns

    def ask(self, *args: Any, **options: Any) -> Answer:
        """See Gateway."""
        answer: Answer = count(
            self._ledger,
            self._turns,
            lambda: super(CountedGateway, self).ask(*args, **options),
            is_held=bool(options.get("wait_s")),
        )
        return answer


def count(ledger: Ledger, turns: Turns, act: Callable[[], Answer], is_held: bool) -> Answer:
    """Act out of turn, and write down what came of it."""

    def begin() -> Answer:
        ledger.begin()
        return act()

    try:
        answer: Answer = (turns.away if is_held else turns.ask)(begin)
    except RitiError as error:
        ledger.end(find_result(error))
        raise
    ledger.end("ok")
    return answer


def find_result(error: RitiError) -> str:
    """ "busy" (asked to come later), "lost" (no answer), "denied", or "error"."""
    kinds = ((Busy, "busy"), (Unreachable, "lost"), (Denied, "denied"))
    return next((name for kind, name in kinds if isinstance(error, kind)), "error")


@dataclass(frozen=True)
class Behind:
    """The servers as the gateway reaches them."""

    consul: str
    vault: str
    authority: Path
    client: Path


class DirectGateway(Gateway):
    """The same for a box without a gateway: Consul is asked itself, and Vault is told the box's certificate."""

    def __init__(self, behind: Behind, clock: Clock, ledger: Ledger, turns: Turns) -> None:
        super().__init__([behind.consul], "", clock)
        self._behind, self._ledger, self._turns = behind, ledger, turns
        self._consul = _open_consul(behind.consul)
        self._shown: dict[str, str] = {}

    def use_certificate(self, certificate: Path, key: Path) -> None:
        """See Gateway. Whether the box has the key nobody asks here: that is the gateway's."""
        made = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
        self._shown = {
            "Client-Cert": f":{base64.b64encode(made).decode()}:",
            "X-Forwarded-For": LOOPBACK,
        }

    def close(self) -> None:
        """See Gateway."""
        super().close()
        self._consul.close()
        self._consul = _open_consul(self._behind.consul)

    def ask(
        self,
        method: str,
        path: str,
        asked: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        accepted: Sequence[int] = (),
    ) -> Answer:
        """See Gateway."""
        is_consul = path.startswith(OF_CONSUL)
        pool = self._consul if is_consul else _open_vault(self._behind)
        target = quote(path) + (f"?{urlencode(query)}" if query else "")
        sent = {**(headers or {}), **({} if is_consul else self._shown)}
        timeout = Timeout(connect=CONNECT_S, read=ANSWER_S + wait_s * 17 / 16)
        address = self._behind.consul if is_consul else self._behind.vault

        def act() -> Answer:
            answer = self._exchange_at(pool, method, target, sent, body, timeout, address, asked)
            if 200 <= answer.status < 300 or answer.status in accepted:
                return answer
            raise self._refuse(address, asked, answer)

        return count(self._ledger, self._turns, act, is_held=bool(wait_s))

    def _exchange_at(
        self,
        pool: HTTPConnectionPool,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: Timeout,
        address: str,
        asked: str,
    ) -> Answer:
        try:
            found = pool.urlopen(
                method, target, body=body, headers=headers, retries=False, redirect=False, timeout=timeout
            )
        except Exception as error:  # urllib3's and the system's
            raise self._unreachable(address, asked, type(error).__name__) from None
        return Answer(found.status, found.headers, found.data)


def _open_consul(address: str) -> HTTPConnectionPool:
    parts = urlsplit(address)
    return HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=1)


@cache
def _open_vault(behind: Behind) -> HTTPSConnectionPool:
    """One for all boxes of the process: the gateway keeps its connections too, and a box's asks are short."""
    context = ssl.create_default_context(cafile=str(behind.authority))
    context.load_cert_chain(behind.client)
    parts = urlsplit(behind.vault)
    return HTTPSConnectionPool(
        parts.hostname or "",
        parts.port,
        maxsize=32,
        block=True,
        ssl_context=context,
        server_hostname=VAULT_NAME,
        assert_hostname=VAULT_NAME,
    )
