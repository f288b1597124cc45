"""A relay in front of a real server that fails in a chosen way, for as long as a test says so.

Streams pass as they come, so that the controller's watches work through it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.integration.relay import HOP_BY_HOP, READS

LONGEST_S = 330  # a blocking query of Nomad, with what it adds
ADDRESSES = {"Nomad": "NOMAD_ADDR", "Consul": "CONSUL_HTTP_ADDR", "Vault": "VAULT_ADDR"}
PAGE = b"<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>\n"


@dataclass
class Exchange:
    """One request that meets a fault, and what is made of its answer."""

    handler: BaseHTTPRequestHandler
    ask: Callable[[], requests.Response]  # the server, once
    stopped: threading.Event  # when the fault is over

    def say(self, status: int, kind: str, body: bytes, length: int | None = None) -> None:
        """An answer; length is what its head claims (None: the truth)."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Content-Length", str(len(body) if length is None else length))
        self.handler.end_headers()
        self.handler.wfile.write(body)
        self.handler.close_connection = True

    def reset(self) -> None:
        """End the connection the hard way: the other side reads "connection reset by peer"."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.handler.close_connection = True


Fault = Callable[[Exchange], None]


def refuse(exchange: Exchange) -> None:
    exchange.ask()
    exchange.say(500, "text/plain", b"rpc error: internal")


def lack_leader(exchange: Exchange) -> None:
    exchange.say(500, "text/plain", b"No cluster leader")


def limit(exchange: Exchange) -> None:
    exchange.say(429, "text/plain", b"Your IP is issuing too many concurrent connections, please rate limit")


def reset(exchange: Exchange) -> None:
    exchange.ask()
    exchange.reset()


def shorten(exchange: Exchange) -> None:
    """Half of the answer, which looks whole: as a cache or a proxy with a full disk leaves it."""
    body = exchange.ask().content
    exchange.say(200, "application/json", body[: max(1, len(body) // 2)] if len(body) > 1 else b"[{")


def break_off(exchange: Exchange) -> None:
    """Half of the answer, and the connection ends."""
    body = exchange.ask().content
    exchange.say(200, "application/json", body[: len(body) // 2], length=len(body) + 1)


def show_page(exchange: Exchange) -> None:
    exchange.ask()
    exchange.say(200, "text/html; charset=utf-8", PAGE)


def show_missing_page(exchange: Exchange) -> None:
    """As a proxy whose route is gone: 404 must not be taken for "there is none"."""
    exchange.say(404, "text/html", PAGE)


def hang(exchange: Exchange) -> None:
    exchange.stopped.wait()
    exchange.reset()


FAULTS: Mapping[str, Fault] = {
    "500s": refuse,
    "no leader": lack_leader,
    "429": limit,
    "reset": reset,
    "JSON cut short": shorten,
    "broken off": break_off,
    "a proxy's page with 200": show_page,
    "a proxy's page with 404": show_missing_page,
}


def is_any(_method: str, _path: str) -> bool:
    return True


def is_write(method: str, path: str) -> bool:
    return method not in ("GET", "LIST", "HEAD") and not READS.match(path) and "/session/" not in path


@dataclass
class _Set:
    fault: Fault
    meets: Callable[[str, str], bool]
    stopped: threading.Event = field(default_factory=threading.Event)


class Failing:
    """Listens on a free loopback port and passes everything on to upstream, but for what meets the fault."""

    def __init__(self, upstream: str) -> None:
        self.met: list[str] = []  # "GET /v1/…", what met a fault since the last was set
        self.slow_s = 0.0  # each answer comes so much later
        self._set: _Set | None = None
        relay = self
        session = requests.Session()
        session.trust_env = False  # no proxy of the shell's

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}

                def ask(stream: bool = False) -> requests.Response:
                    url = upstream + self.path
                    return session.request(
                        self.command, url, data=body, headers=headers, timeout=LONGEST_S, stream=stream
                    )

                now = relay._set
                if now and now.meets(self.command, self.path):
                    relay.met.append(f"{self.command} {self.path}")
                    now.fault(Exchange(self, ask, now.stopped))
                    return
                if relay.slow_s:
                    threading.Event().wait(relay.slow_s)
                with ask(stream=True) as answer:
                    self.send_response(answer.status_code)
                    for key, value in answer.headers.items():
                        if key.lower() not in HOP_BY_HOP:
                            self.send_header(key, value)
                    if answer.status_code == 204:
                        self.end_headers()
                        return
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for piece in answer.raw.stream(1 << 16, decode_content=True):
                        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")

            do_GET = do_PUT = do_POST = do_DELETE = do_LIST = do_PATCH = pass_on

            def log_message(self, *_: object) -> None:
                """Nothing: the controller's own words are what is judged."""

            def handle(self) -> None:
                # either side may go away at any time; an upstream that is away is a connection that ends
                with suppress(OSError, requests.RequestException, ValueError):
                    super().handle()

            def finish(self) -> None:
                with suppress(OSError, ValueError):
                    super().finish()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Nothing: see `handle`."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def fail(self, fault: Fault, meets: Callable[[str, str], bool] = is_any) -> Iterator[None]:
        """Fail what meets the fault, by method and path, while the context lasts."""
        self.met.clear()
        self._set = _Set(fault, meets)
        try:
            yield
        finally:
            ended, self._set = self._set, None
            ended.stopped.set()

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        self.slow_s = seconds
        try:
            yield
        finally:
            self.slow_s = 0.0

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def hold_failing(environ: Mapping[str, str]) -> Iterator[dict[str, Failing]]:
    """A relay before each server ("Nomad", "Consul", "Vault"), while it lasts."""
    with ExitStack() as ends:
        relays = {name: Failing(environ[variable]) for name, variable in ADDRESSES.items()}
        for relay in relays.values():
            ends.callback(relay.close)
        yield relays


def name_addresses(relays: Mapping[str, Failing]) -> dict[str, str]:
    """The relays' addresses by the clients' variables."""
    return {ADDRESSES[name]: relay.url for name, relay in relays.items()}
