"""One plain HTTP call to a server of the stack, before the stack is far enough for a client library."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlencode

import requests

from ritilib.errors import DevstackError

TIMEOUT_S = 10.0


def call(method: str, url: str, token_header: str = "", token: str = "", body: Any = None) -> tuple[int, Any]:
    """(status, decoded JSON or text) of one call; (0, "") when nothing answers."""
    headers = {token_header: token} if token_header else {}
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the shell has no business with loopback
        try:
            answer = session.request(method, url, headers=headers, json=body, timeout=TIMEOUT_S)
        except requests.RequestException:
            return 0, ""
    return answer.status_code, _decode(answer.content)


def call_docker(
    socket_path: str, method: str, path: str, query: dict[str, str] | None = None
) -> tuple[int, Any]:
    """(status, decoded JSON or text) of one call to a Docker daemon; (0, "") when nothing answers."""
    connection = _UnixConnection(socket_path)
    try:
        connection.request(method, path + (f"?{urlencode(query)}" if query else ""))
        answer = connection.getresponse()
        return answer.status, _decode(answer.read())
    except OSError:
        return 0, ""
    finally:
        connection.close()


def expect(status: int, value: Any, what: str) -> Any:
    """The value of an answer that went well; DevstackError where it did not."""
    if 200 <= status < 300:
        return value
    raise DevstackError.because(f"{what}: status {status}: {str(value)[:300]}", "see the log of that server")


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, socket_path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._socket_path)
