"""/usr/lib/riti/page: the box's page, on the side of the telephones alone. It reads one file and takes no orders.

systemd listens (riti-page.socket, bound to that interface) and starts this when somebody asks; it ends when nobody
does.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

SAID = Path("/run/riti-status/status.json")
IDLE_S = 60.0
_FIRST_SOCKET = 3  # sd_listen_fds(3)
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def write_page(said: Mapping[str, Any]) -> str:
    """The page, for a person who knows nothing of telephony; it looks again by itself."""
    blinks = said.get("blinks", 0)
    lamp = "is steadily on" if not blinks else f"blinks {blinks} times, pauses, and blinks again"
    rows = "".join(
        f"<tr><th>{escape(name)}<td>{escape(str(said[key]))}"
        for name, key in (
            ("Version", "image"),
            ("Serial number", "serial"),
            ("State", "state"),
            ("Link", "link"),
        )
        if said.get(key)
    )
    notes = "".join(f"<p>{escape(note)}" for note in said.get("notes", ()))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        '<meta name="viewport" content="width=device-width"><title>Telephone box</title>'
        "<style>body{font:1.2em sans-serif;max-width:32em;margin:2em auto;padding:0 1em}th{text-align:left;"
        "padding-right:1em}</style>"
        f"<h1>{escape(str(said.get('words', 'The box is starting.')))}</h1>"
        f"<p><b>{escape(str(said.get('mend', 'Wait for five minutes.')))}</b>"
        f"<p>The green lamp {lamp}. Code: {escape(str(said.get('code', 'starting')))}.{notes}<table>{rows}</table>\n"
    )


def read_said() -> Mapping[str, Any]:
    """What the status service left; {} while it has not yet."""
    try:
        said = json.loads(SAID.read_text(encoding="utf-8"))
        return said if isinstance(said, dict) else {}
    except (OSError, ValueError):
        return {}


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the one page."""

    timeout = 10.0
    server_version, sys_version = "riti", ""

    def do_GET(self) -> None:
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        self._send(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who reads the page is nobody's business."""

    def _send(self, with_body: bool) -> None:
        is_known, is_json = self.path in ("/", "/status.json"), self.path == "/status.json"
        said = read_said()
        body = (json.dumps(said, sort_keys=True) if is_json else write_page(said)).encode()
        self.send_response(200 if is_known else 404)
        for name, value in _HEADERS.items():
            self.send_header(name, "application/json" if is_json and name == "Content-Type" else value)
        self.send_header("Content-Length", str(len(body) if is_known else 0))
        self.end_headers()
        if with_body and is_known:
            self.wfile.write(body)


class Served(HTTPServer):
    """On the socket that systemd gave; ends when nobody asks for a while."""

    timeout = IDLE_S

    def __init__(self, given: socket.socket) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = given
        self.server_name, self.server_port = "box", 80
        self.is_idle = False

    def handle_timeout(self) -> None:
        self.is_idle = True


def main() -> None:
    """Until nobody asks."""
    server = Served(socket.socket(fileno=_FIRST_SOCKET))
    while not server.is_idle:
        server.handle_request()
