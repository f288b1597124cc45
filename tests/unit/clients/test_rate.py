"""How fast a server is asked, and what becomes of a request that it had no time for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ritilib.clients.rate import Bucket
from ritilib.clients.session import LONGEST_PAUSE_S, PAUSE_S, TRIES, GuardedAdapter, QuickRetry, make_session
from ritilib.clients.settings import Server
from tests.unit.http_script import serve_script


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def read(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_a_bucket_lets_a_seconds_worth_through_and_then_spaces() -> None:
    clock = Clock()
    bucket = Bucket(4, clock.read, clock.sleep)
    sent = []
    for _ in range(12):
        bucket.take()
        sent.append(clock.now_s)
    assert sent[:4] == [0.0] * 4
    assert sent[4:] == pytest.approx([number / 4 for number in range(1, 9)])


def test_a_bucket_fills_while_nobody_asks_and_not_beyond() -> None:
    clock = Clock()
    bucket = Bucket(2, clock.read, clock.sleep)
    for _ in range(2):
        bucket.take()
    clock.sleep(60)
    began_s = clock.now_s
    for _ in range(4):
        bucket.take()
    assert clock.now_s - began_s == pytest.approx(1.0)


def test_a_slow_bucket_lets_one_through_at_once() -> None:
    clock = Clock()
    bucket = Bucket(0.5, clock.read, clock.sleep)
    for _ in range(3):
        bucket.take()
    assert clock.now_s == pytest.approx(4.0)


def send(method: str, *answers: str, **settings: object) -> tuple[int, list[float]]:
    """One request to a server that answers so, one after the other: the status in the end, and the pauses before."""
    pauses: list[float] = []
    with serve_script() as script, ThreadPoolExecutor(1) as threads:
        server = Server(script.url, "token", **settings)
        session = make_session(server)
        session.mount("http://", GuardedAdapter(server, pauses.append, max_retries=QuickRetry(0)))
        asked = threads.submit(session.request, method, script.url, timeout=20)
        for answer in answers:
            script.next().answer(answer)
        status = asked.result().status_code
        assert script.waiting.empty()
    return status, pauses


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_server_that_says_when_is_asked_then(method: str, status: str) -> None:
    assert send(method, f"{status}\r\nRetry-After: 3", "200 OK") == (200, [3.0])


def test_a_server_that_has_too_much_to_do_is_asked_again_a_little_later() -> None:
    assert send("PUT", "429 Too Many Requests", "200 OK") == (200, [PAUSE_S])
    assert send("PUT", "429 Too Many Requests\r\nRetry-After: soon", "200 OK") == (200, [PAUSE_S])


def test_it_is_not_asked_for_ever() -> None:
    assert send("PUT", *["429 Too Many Requests"] * (TRIES + 1)) == (429, [PAUSE_S] * TRIES)


def test_a_write_that_may_have_been_done_is_not_sent_again() -> None:
    assert send("PUT", "503 Service Unavailable") == (503, [])
    assert send("PUT", "500 Internal Server Error\r\nRetry-After: 1") == (500, [])


def test_more_time_than_a_cycle_has_is_not_waited_for() -> None:
    assert send("PUT", f"429 Too Many Requests\r\nRetry-After: {LONGEST_PAUSE_S + 1:.0f}") == (429, [])


def test_the_guard_is_asked_again_after_the_wait() -> None:
    asked: list[str] = []
    send("PUT", "429 Too Many Requests", "200 OK", guard=lambda: asked.append("guard"))
    assert asked == ["guard", "guard"]


def test_every_request_takes_from_the_bucket() -> None:
    clock = Clock()
    bucket = Bucket(1, clock.read, clock.sleep)
    send("GET", "200 OK", bucket=bucket)
    send("PUT", "200 OK", bucket=bucket)
    assert clock.now_s == pytest.approx(1.0)
