"""A relay in front of a real server: it counts what is asked of it and can end the asker right after a write.

The write has then been made and its answer is lost, which is the worst moment to die.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

# These use a writing method and change nothing.
READS = re.compile(r"^/v1/(jobs/parse|job/[^/]+/plan|riti-transit/hmac/|acl/login|auth/[^/]+/login)")
# What a leader's beginning and end ask: they are none of the cycle's, and tests/integration/test_lead.py has its own.
ELECTION = re.compile(
    r"/v1/(session/|acl/token|acl/policy/name/riti-|auth/token/|riti/data/_leader/)|/leader\b"
)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}


@dataclass
class Ledger:
    """Every request that passed any of the relays, and what to do after each write."""

    requests: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    after_write: Callable[[list[str]], None] = lambda _: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """Forget what passed so far."""
        with self.lock:
            self.requests.clear()
            self.writes.clear()

    def note(self, server: str, method: str, path: str, body: bytes) -> bool:
        """Write the request down, unless it is an election's; True where it writes."""
        writing = method not in ("GET", "LIST", "HEAD") and not READS.match(path)
        keys = [one["KV"]["Key"] for one in json.loads(body)] if path.startswith("/v1/txn") else []
        line = " ".join([server, method, path, *keys])
        if ELECTION.search(line):
            return False
        with self.lock:
            self.requests.append(line)
            if writing:
                self.writes.append(line)
        return writing


class Relay:
    """Listens on a free loopback port and passes everything on to `upstream`."""

    def __init__(self, name: str, upstream: str, ledger: Ledger) -> None:
        session = requests.Session()
        session.trust_env = False  # no proxy of the shell's

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
                url = upstream + self.path
                answer = session.request(self.command, url, data=body, headers=headers, timeout=330)
                if ledger.note(name, self.command, self.path, body):
                    ledger.after_write(ledger.writes)
                self.send_response(answer.status_code)
                for key, value in answer.headers.items():
                    if key.lower() not in HOP_BY_HOP:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_PUT = do_POST = do_DELETE = do_LIST = do_PATCH = pass_on

            def log_message(self, *_: object) -> None:
                """Nothing: the ledger holds it all."""

            def handle(self) -> None:
                # an asker that was ended on purpose
                with suppress(BrokenPipeError, ConnectionResetError):
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def hold_relays(environ: Mapping[str, str], ledger: Ledger) -> Iterator[dict[str, str]]:
    """A relay before each server of environ, while it lasts; their addresses, by the clients' variables."""
    names = ("NOMAD_ADDR", "CONSUL_HTTP_ADDR", "VAULT_ADDR")
    relays = {name: Relay(name.split("_")[0], environ[name], ledger) for name in names}
    try:
        yield {name: relay.url for name, relay in relays.items()}
    finally:
        for relay in relays.values():
            relay.close()
