"""A request that waits is ended from another thread."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ritilib.clients import watching
from ritilib.clients.watching import WatchSession
from tests.unit.http_script import serve_script


def test_a_request_that_waits_for_its_answer_is_ended() -> None:
    session = WatchSession(True)
    with serve_script() as script, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(session.get, script.url, timeout=300)
        script.next()
        session.abort()
        with pytest.raises(requests.RequestException):
            waiting.result(timeout=20)


def test_a_stream_that_waits_for_its_next_line_is_ended() -> None:
    session = WatchSession(True)
    with serve_script() as script, ThreadPoolExecutor(1) as pool:
        opening = pool.submit(session.get, script.url, timeout=300, stream=True)
        script.next().open_stream()
        reading = pool.submit(lambda: list(opening.result(timeout=20).iter_lines()))
        session.abort()
        with pytest.raises(requests.RequestException):
            reading.result(timeout=20)


def test_nothing_is_asked_after_the_end() -> None:
    session = WatchSession(True)
    session.abort()
    with serve_script() as script, pytest.raises(requests.RequestException):
        session.get(script.url, timeout=300)


def test_a_tls_handshake_that_nobody_answers_is_given_up() -> None:
    session = WatchSession(True)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(requests.RequestException):
        session.get(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=300)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own CA, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def test_a_request_over_tls_that_waits_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "CONNECT_TIMEOUT_S", 20)  # a busy machine's handshake is not what is tried
    certificate, private = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    session = WatchSession(str(certificate))
    with (
        socket.create_server(("127.0.0.1", 0)) as plain,
        context.wrap_socket(plain, server_side=True) as listener,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(session.get, f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=300)
        connection, _ = listener.accept()
        assert connection.recv(3) == b"GET"
        session.abort()
        with pytest.raises(requests.RequestException):
            waiting.result(timeout=20)
        connection.close()
