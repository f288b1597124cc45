"""One document for somebody else's server: what becomes of it, and what never does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from ritilib.clients import posting
from ritilib.clients.posting import ANSWER_LIMIT, Post, Poster, is_safe, show_origin
from ritilib.errors import Denied, ServerError, Unreachable
from tests.unit.http_script import serve_script
from tests.unit.receiver import receive

SECRET = "T0/B0/a-secret-path"


def test_it_is_posted_as_json_with_its_headers() -> None:
    with receive() as other:
        Poster("it", "RITI_X").send(Post(f"{other.url}/a?b=c", {"X-Own": "word"}, b'{"a": 1}'))
        [taken] = other.taken
    assert (taken.path, taken.said) == ("/a?b=c", {"a": 1})
    assert taken.headers["content-type"] == "application/json"
    assert (taken.headers["x-own"], taken.headers["user-agent"]) == ("word", "riti")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServerError),
        (404, ServerError),
        (422, ServerError),
        (401, Denied),
        (403, Denied),
        (408, Unreachable),
        (429, Unreachable),
        (500, Unreachable),
        (503, Unreachable),
        (504, Unreachable),
    ],
)
def test_what_may_be_tried_again_is_told_from_what_may_not(status: int, kind: type[ServerError]) -> None:
    with receive() as other:
        other.answer(status, b"no such thing")
        with pytest.raises(ServerError) as caught:
            Poster("it", "RITI_X").send(Post(f"{other.url}/{SECRET}", {}, b"{}"))
        assert len(other.taken) == 1
    assert type(caught.value) is kind
    assert "no such thing" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_final(status: int) -> None:
    with receive() as elsewhere, receive() as other:
        other.answer(status, b"", Location=f"{elsewhere.url}/thief")
        with pytest.raises(ServerError, match="redirects") as caught:
            Poster("it", "RITI_X").send(Post(other.url, {"Authorization": "token t"}, b"{}"))
        assert type(caught.value) is ServerError
        assert elsewhere.taken == []


def test_a_long_answer_is_read_no_further_than_its_limit() -> None:
    with receive() as other:
        other.answer(400, b"x" * (ANSWER_LIMIT * 400))
        with pytest.raises(ServerError) as caught:
            Poster("it", "RITI_X").send(Post(other.url, {}, b"{}"))
    assert len(str(caught.value)) < ANSWER_LIMIT


def test_an_answer_that_drips_for_ever_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks: list[_HandClock] = []
    monkeypatch.setattr(
        posting.threading, "Timer", lambda *said: clocks.append(_HandClock(*said)) or clocks[0]
    )
    with serve_script() as script, ThreadPoolExecutor(1) as threads:
        sent = threads.submit(Poster("it", "RITI_X").send, Post(script.url, {}, b"{}"))
        asked = script.next()
        asked.send(b"HTTP/1.1 200 OK\r\nX-One: ")
        [clock] = clocks
        assert (clock.after_s, clock.is_ended) == (posting.WHOLE_S, False)
        asked.send(b"x")
        assert not sent.done()
        clock.run_out()
        sent.result(20)  # its first line said that it took it
        assert clock.is_ended


@dataclass
class _HandClock:
    """A threading.Timer whose time runs out when the test says so."""

    after_s: float
    run_out: Callable[[], None]
    is_ended: bool = False

    def start(self) -> None:
        """Nothing."""

    def cancel(self) -> None:
        self.is_ended = True

    def join(self) -> None:
        """Nothing."""


def test_whoever_waits_for_an_answer_is_let_go() -> None:
    with receive() as other:
        other.free.clear()
        poster, errors = Poster("it", "RITI_X"), []

        def send() -> None:
            try:
                poster.send(Post(other.url, {}, b"{}"))
            except Unreachable as error:
                errors.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        other.wait_taken(1)
        poster.abort()
        sender.join(20)
        assert not sender.is_alive()
        assert len(errors) == 1
        with pytest.raises(Unreachable, match="no more"):
            poster.send(Post(other.url, {}, b"{}"))
        assert len(other.taken) == 1


def test_nobody_there_is_unreachable() -> None:
    with receive() as other:
        url = other.url
    with pytest.raises(Unreachable) as caught:
        Poster("it", "RITI_X").send(Post(f"{url}/{SECRET}", {}, b"{}"))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(Post(f"{url}/{SECRET}", {}, b"{}"))


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    """The receiver speaks no TLS at all, which is as bad as a wrong certificate: nothing is sent."""
    with receive() as other:
        with pytest.raises(Unreachable):
            Poster("it", "RITI_X").send(Post(other.url.replace("http", "https"), {}, b"{}"))
        assert other.taken == []


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://git.example/api/v1", True),
        ("https://git.example:8443/hook?x=y", True),
        ("http://127.0.0.1:3000", True),
        ("http://localhost/x", True),
        ("http://[::1]:80/x", True),
        ("http://git.example/api/v1", False),
        ("https://ana:word@git.example/", False),
        ("https://", False),
        ("https://git.example:port/", False),
        ("ftp://git.example/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("nonsense", False),
    ],
)
def test_where_a_secret_may_be_sent(url: str, is_good: bool) -> None:
    assert is_safe(url) is is_good


def test_only_the_origin_of_an_address_is_shown() -> None:
    assert show_origin(f"https://chat.example:8443/{SECRET}?key=1") == "https://chat.example:8443"
    assert show_origin("http://[::1]:80/x") == "http://[::1]:80"
    assert show_origin("http://[broken/x") == "?"
