"""The HTTP session that the clients share: reads are tried again, writes never."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from ritilib.clients.settings import Server
from ritilib.errors import Denied, ServerError, Unreachable

# 412: a Vault standby that has not yet seen our last write; 502, 503: a server that starts or changes leader
RETRIED = (412, 502, 503)
READING = ("GET", "HEAD", "LIST")
TRIES = 3
CONNECTIONS = 32
RAW = "/v1/client/fs/"  # Nomad gives a task's file as it is


class NotTheServer(requests.RequestException):
    """What answered is not the server: a proxy before it, or an answer that was cut short."""


class GuardedAdapter(HTTPAdapter):
    """Asks before each request that may write, after all waiting of ours: nothing of this process comes in between."""

    def __init__(self, guard: Callable[[], None] | None, **options: Any) -> None:
        self._guard = guard
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if self._guard and request.method not in READING:
            self._guard()
        return super().send(request, *args, **options)


def make_session(server: Server) -> requests.Session:
    """A session for one server, that calls its guard before each write.

    The shell's proxies, .netrc and CA variables are not for these servers: each has its own *_CACERT.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = server.verify
    session.hooks["response"].append(refuse_foreign)
    retry = Retry(
        total=TRIES,
        connect=0,
        read=0,
        redirect=0,
        other=0,
        status=TRIES,
        status_forcelist=RETRIED,
        allowed_methods=READING,
        backoff_factor=0.2,
        raise_on_status=False,
    )
    adapter = GuardedAdapter(server.guard, max_retries=retry, pool_maxsize=CONNECTIONS)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def refuse_foreign(answer: requests.Response, *_: Any, **__: Any) -> None:
    """Raise NotTheServer for a page: none of these servers writes one, and a proxy's 404 is not "there is none"."""
    if answer.headers.get("Content-Type", "").partition(";")[0].strip() == "text/html":
        raise NotTheServer(f"a page of HTML with status {answer.status_code}, as a proxy writes it")


def decode_at_once(answer: requests.Response, *_: Any, **__: Any) -> None:
    """Raise NotTheServer where an answer is no JSON (and no file of a task), before anybody reads half of it.

    What was decoded is kept for whoever asks the answer for it.
    """
    if not answer.ok or not answer.content or RAW in answer.url:
        return
    try:
        value = json.loads(answer.content)
    except ValueError as error:
        raise NotTheServer("no JSON, or only the beginning of it") from error
    answer.json = lambda **_: value  # type: ignore[method-assign]  # this one answer's


def unreachable(server: str, address: str, asked: str, error: Exception) -> Unreachable:
    """No answer to what was asked; a write may or may not have been done."""
    said = str(error) if isinstance(error, NotTheServer) else type(error).__name__
    what = f"{server} at {address} gave no answer ({asked}): {said}"
    return Unreachable.because(what, f"see that {server} runs and that its address is right, then try again")


def refused(server: str, address: str, asked: str, status: int, words: str, variable: str) -> ServerError:
    """The error for an answer that is none of 2xx; variable names the token's variable."""
    said = " ".join(words.split())[:400]
    if status in (401, 403):
        mend = f"take a token with that right in {variable}"
        return Denied.because(f"{server} denied: {asked}: {said or status}", mend)
    if status in (429, *RETRIED) or "No cluster leader" in said:
        what = f"{server} at {address} cannot answer now ({asked}): status {status}: {said}"
        return Unreachable.because(what, f"wait until {server} is well, then try again")
    return ServerError.because(
        f"{server} refused: {asked}: status {status}: {said}", f"see {server}'s log, and mend what it names"
    )
