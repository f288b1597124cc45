"""A gateway for tests: TLS by an authority of its own, the box's certificate in a header, answers that get lost.

It lets through what the real one does (docs/gateway.md), as far as a box's certificate is asked for.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ritilib.devstack.record import LOOPBACK
from tests.enroll.servers import write_key

OPEN = ("/v1/acl/login", "/v1/acl/logout", "/v1/kv/riti/")
OWN = ("/v1/kv/riti/", "/box/")
HEADERS = ("X-Consul-Token", "X-Vault-Token", "Content-Type")
TIMEOUT_S = 120.0


class Authority:
    """Signs certificates of servers; its times are whatever a test wants."""

    def __init__(self, folder: Path, name: str = "gateways of a test") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self.crt = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9000))
            .not_valid_after(now + timedelta(days=9000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.crt.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, start: datetime, end: datetime, address: str = LOOPBACK) -> Path:
        """A file with a server's certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"{made.serial_number}.pem"
        file.write_text(made.public_bytes(serialization.Encoding.PEM).decode() + write_key(key))
        return file


@dataclass(frozen=True)
class Passed:
    """One request that came, and what the server behind said to it."""

    method: str
    path: str
    status: int


class Gate:
    """At `address`; passed is every request so far. is_lost: of which, by number from 0, the answer is thrown away
    and the connection closed. told: the time that its answers say."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.address = f"https://{LOOPBACK}:{server.server_address[1]}"
        self.passed: list[Passed] = []
        self.is_lost: Callable[[int], bool] = lambda number: False
        self.told: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.answer: tuple[int, dict[str, str]] | None = None
        self._lock, self._count = threading.Lock(), 0

    def count(self) -> int:
        with self._lock:
            self._count += 1
            return self._count - 1

    def restart_count(self) -> None:
        """Count from 0 again."""
        with self._lock:
            self._count = 0
            self.passed = []


@contextmanager
def run_gate(
    certificate: Path, consul: str = "", vault: str = "", boxes: str = "", port: int = 0
) -> Iterator[Gate]:
    """consul and vault are the addresses behind it, boxes the authority (PEM) of boxes' certificates."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest shows what is wrong."""

        def send_response(self, code: int, message: str | None = None) -> None:
            self.send_response_only(code, message)

        def handle_one_request(self) -> None:
            # a box that was ended in the middle of a request is no error of the gate's
            with suppress(OSError, http.client.HTTPException):
                super().handle_one_request()
                return
            self.close_connection = True

        def _pass(self) -> None:
            number = gate.count()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            shown = self.connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
            status, headers, data = self._ask(body, shown)
            gate.passed.append(Passed(self.command, urlsplit(self.path).path, status))
            if gate.is_lost(number):
                self.close_connection = True
                return
            self.send_response(status)
            for name in ("Content-Type", "X-Consul-Index", "Retry-After"):
                if headers.get(name):
                    self.send_header(name, headers[name])
            self.send_header("Date", format_datetime(gate.told(), usegmt=True))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = _pass

        def _ask(self, body: bytes, shown: bytes | None) -> tuple[int, dict[str, str], bytes]:
            if gate.answer:
                return gate.answer[0], gate.answer[1], b"busy"
            is_open = self.path.startswith(OPEN) and "/box/" not in self.path
            if not shown and not is_open:
                return 403, {}, b"this needs the box's certificate"
            is_consul = self.path.startswith(("/v1/acl/", "/v1/kv/", "/v1/agent/"))
            behind = urlsplit(consul if is_consul else vault)
            headers = {name: self.headers[name] for name in HEADERS if self.headers.get(name)}
            headers["X-Forwarded-For"] = LOOPBACK
            if shown and not is_consul:
                headers["Client-Cert"] = f":{base64.b64encode(shown).decode()}:"
            connection = http.client.HTTPConnection(behind.hostname or "", behind.port, timeout=TIMEOUT_S)
            try:
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if boxes:
        context.load_verify_locations(cadata=boxes)
        context.verify_mode = ssl.CERT_OPTIONAL

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            # in the request's own thread, so that a box which never ends its handshake holds up nobody
            with suppress(OSError):
                super().finish_request(context.wrap_socket(request, server_side=True), client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """What goes wrong is the box's to tell."""

    with Server((LOOPBACK, port), Handler) as server:
        gate = Gate(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield gate
        finally:
            server.shutdown()
            thread.join()
