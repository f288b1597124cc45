"""An HTTP server on loopback that says what a test tells it to, piece by piece, to one asker after the other."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Asked:
    """One connection: the head of what was asked, and the answer's pieces as the test gives them."""

    head: str
    connection: socket.socket

    def send(self, piece: bytes) -> None:
        self.connection.sendall(piece)

    def open_stream(self, status: str = "200 OK") -> None:
        """The head of an answer in chunks."""
        self.send(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def send_chunk(self, chunk: bytes) -> None:
        self.send(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    def answer(self, status: str, body: bytes = b"") -> None:
        """A whole answer, and the end of the connection."""
        self.send(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


@dataclass
class Script:
    """Where it listens, and who asks."""

    url: str
    waiting: queue.Queue[Asked] = field(default_factory=queue.Queue)

    def next(self) -> Asked:
        """The next connection that has asked something."""
        return self.waiting.get(timeout=20)


@contextmanager
def serve_script() -> Iterator[Script]:
    """The server while it lasts; every connection is closed at its end."""
    listener = socket.create_server(("127.0.0.1", 0))
    script = Script(f"http://127.0.0.1:{listener.getsockname()[1]}")
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
                head += piece
            script.waiting.put(Asked(head.decode(), connection))

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield script
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in held:
            connection.close()
