"""An HTTP server on loopback that takes what is posted, and answers as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from ritilib.devstack.processes import poll
from tests.http_server import serve

DEADLINE_S = 60.0


@dataclass(frozen=True)
class Taken:
    """One request; headers: lower-case name → value."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """answers: status, body, headers of the next requests, in order; then 201. While it is held, nobody is answered."""

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    answers: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.answers.append((status, body, headers))

    def wait_taken(self, number: int) -> list[Taken]:
        """The first requests, as soon as there are so many."""
        assert poll(lambda: len(self.taken) >= number, DEADLINE_S), f"only {self.taken}"
        return self.taken[:number]


@contextmanager
def receive() -> Iterator[Receiver]:
    """The server while it lasts."""
    receiver = Receiver()
    receiver.free.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.taken.append(Taken(self.path, headers, body))
            receiver.free.wait()
            status, words, more = receiver.answers.pop(0) if receiver.answers else (201, b"{}", {})
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(words))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(words)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing: taken holds it all."""

        def handle(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):  # an asker that was ended
                super().handle()

    with serve(Handler, receiver.free.set) as receiver.url:
        yield receiver
