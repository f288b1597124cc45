"""A request that waits is ended from another thread."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

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
