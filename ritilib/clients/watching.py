"""An HTTP session whose waiting requests can be ended from another thread: for blocking queries and streams."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ritilib.clients.session import refuse_foreign

# To a server of the same data centre; it is the longest that an end has to wait for a request that is being made.
CONNECT_TIMEOUT_S = 0.9


class WatchSession(requests.Session):
    """As make_session's, but nothing is tried again, and `abort` ends what waits: it raises RequestException there."""

    def __init__(self, verify: bool | str) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = verify
        self.hooks["response"].append(refuse_foreign)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._is_aborted = False
        adapter = _Adapter(self._keep)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def abort(self) -> None:
        """End every request, now and from now on; from any thread."""
        with self._lock:
            self._is_aborted = True
            sockets = list(self._sockets)
            self._sockets.clear()
        for one in sockets:
            _shut(one)

    def _keep(self, one: socket.socket) -> None:
        with self._lock:
            self._sockets = {held for held in self._sockets if held.fileno() >= 0}
            self._sockets.add(one)
            is_aborted = self._is_aborted
        if is_aborted:
            _shut(one)


class _Adapter(HTTPAdapter):
    """Hands every socket that is opened to `keep`."""

    def __init__(self, keep: Callable[[socket.socket], None]) -> None:
        self._keep = keep
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        keep = self._keep

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                keep(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                keep(self.sock)

        plain = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        secure = type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
        self.poolmanager.pool_classes_by_scheme = {"http": plain, "https": secure}

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:
        timeout = named.get("timeout")
        if not isinstance(timeout, tuple):
            named["timeout"] = (CONNECT_TIMEOUT_S, timeout)
        return super().send(request, *arguments, **named)


def _shut(one: socket.socket) -> None:
    """Wake whoever reads from it; TLS's own shutdown would talk to the other side first."""
    with suppress(OSError):
        socket.socket.shutdown(one, socket.SHUT_RDWR)
