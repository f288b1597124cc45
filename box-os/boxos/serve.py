"""Bundles over HTTP as RAUC streams them, on loopback alone, and whole variants of one without a copy of it."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from boxos.cables import WAN, Cables

GUEST = "10.0.2.100:8080"  # where the guest finds it: an address of QEMU's own network
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CHUNK = 1024 * 1024
_HEAD = "HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Length: {length}\r\n{more}\r\n"


@dataclass(frozen=True)
class Served:
    """file's first size bytes with some changed (offset → byte), then tail."""

    file: Path
    size: int
    tail: bytes
    changed: Mapping[int, int] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return self.size + len(self.tail)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from start to before end."""
        with self.file.open("rb") as stream:
            while start < end:
                if start >= self.size:
                    yield self.tail[start - self.size : end - self.size]
                    return
                stream.seek(start)
                said = bytearray(stream.read(min(_CHUNK, end - start, self.size - start)))
                for offset, byte in self.changed.items():
                    if start <= offset < start + len(said):
                        said[offset - start] = byte
                yield bytes(said)
                start += len(said)


def find_span(asked: str | None, length: int) -> tuple[int, int]:
    """The bytes that a Range header asks for: from, to before. All where it asks for none."""
    match = _RANGE.fullmatch(asked or "")
    if not match:
        return 0, length
    return int(match[1]), min(int(match[2]) + 1 if match[2] else length, length)


def head_answer(start: int, end: int, length: int, of_range: bool) -> str:
    """The lines before the bytes from start to before end."""
    more = f"Content-Range: bytes {start}-{end - 1}/{length}\r\n" if of_range else ""
    status = "206 Partial Content" if of_range else "200 OK"
    return _HEAD.format(status=status, length=end - start, more=more)


@dataclass
class Sent:
    """What was sent under one name: all bytes of the answers with their headers, and how many answers."""

    bytes: int = 0
    answers: int = 0


@contextmanager
def serve(served: Mapping[str, Served], sent: dict[str, Sent] | None = None) -> Iterator[Cables]:
    """wan leads to a network in which the guest finds each by its name at GUEST, and nothing else.

    sent: where what goes out is counted, by name.
    """
    with answer(served, {} if sent is None else sent) as port:
        yield _compose_network(port)


@contextmanager
def answer(served: Mapping[str, Served], sent: dict[str, Sent], address: str = "127.0.0.1") -> Iterator[int]:
    """A port of an address of this machine, loopback's where nobody says it, at which each is served by its name."""
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send(with_body=False)

        def do_GET(self) -> None:
            self._send(with_body=True)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def _send(self, with_body: bool) -> None:
            name = self.path.removeprefix("/")
            one = served.get(name)
            if one is None:
                self.send_error(404)
                return
            start, end = find_span(self.headers["Range"], one.length)
            # written here, since what the library writes by itself is not told
            head = head_answer(start, end, one.length, self.headers["Range"] is not None).encode()
            with counting:
                sent.setdefault(name, Sent()).answers += 1
            for part in (head, *(one.read(start, end) if with_body else ())):
                self.wfile.write(part)
                with counting:
                    sent[name].bytes += len(part)

    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _compose_network(port: int) -> Cables:
    relay = Path(__file__).with_name("relay.py")
    carried = f"guestfwd=tcp:{GUEST}-cmd:{sys.executable} -S {relay} {port}"
    return Cables(("-netdev", f"user,id=wan,restrict=on,{carried}", *WAN))
