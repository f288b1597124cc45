"""A Git server on loopback: `git http-backend`, a password if one is asked for, and what can go wrong on the way."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from tests.http_server import serve


@dataclass
class GitServer:
    """url + "/NAME.git" serves that folder of root. password "": anybody may read.

    trouble: "" works; "cut" breaks off in the middle of what it sends; "hang" takes the question and says nothing
    until it is closed; "error" answers 500.
    """

    root: Path
    url: str = ""
    password: str = ""
    trouble: str = ""
    requests: list[str] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def allows(self, header: str) -> bool:
        wanted = base64.b64encode(f"controller:{self.password}".encode()).decode()
        return not self.password or header == f"Basic {wanted}"


@contextmanager
def serve_git(root: Path) -> Iterator[GitServer]:
    """The server while it lasts."""
    served = GitServer(root)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            served.requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if served.trouble == "hang":
                served.closed.wait()
                return
            if not served.allows(self.headers.get("Authorization", "")):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="fleet"')
                self.end_headers()
                return
            if served.trouble == "error":
                self.send_error(500)
                return
            head, _, content = self.run_backend(body).partition(b"\r\n\r\n")
            self.send_response(200)
            for line in head.decode().split("\r\n"):
                name, _, value = line.partition(": ")
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            cut = served.trouble == "cut" and self.command == "POST" and b"PACK" in content
            self.wfile.write(content[: len(content) // 2] if cut else content)

        do_GET = do_POST = answer

        def run_backend(self, body: bytes) -> bytes:
            asked = urlsplit(self.path)
            given = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(served.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "PATH_INFO": asked.path,
                "QUERY_STRING": asked.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "CONTENT_LENGTH": str(len(body)),
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=given, capture_output=True, check=True
            )
            return done.stdout

        def log_message(self, *_: object) -> None:
            """Nothing: requests holds it all."""

        def handle(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):  # an asker that gave up
                super().handle()

    with serve(Handler, served.closed.set) as served.url:
        yield served
