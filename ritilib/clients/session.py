"""The HTTP session that the clients share: reads are tried again, writes only where the server had no time for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from ritilib.clients.settings import Server
from ritilib.errors import Denied, ServerError, Unreachable

# 412: a Vault standby that has not yet seen our last write; 502, 503: a server that starts or changes leader
RETRIED = (412, 502, 503)
READING = ("GET", "HEAD", "LIST")
TRIES = 3
TOO_MANY = 429
SLOWED = (TOO_MANY, 503)  # 503 only with a Retry-After: without one nothing says that it was not done
PAUSE_S = 1.0  # after a 429 that does not say how long
LONGEST_PAUSE_S = 10.0  # the cycle is tried again by itself
CONNECTIONS = 32
FILTERED = "X-Consul-Results-Filtered-By-ACLs"
RAW = "/v1/client/fs/"  # Nomad gives a task's file as it is


class NotTheServer(requests.RequestException):
    """What answered is not the server: a proxy before it, or an answer that was cut short."""


class QuickRetry(Retry):
    """Tries again by itself only where the server did not say when: the adapter waits for that."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        return not has_retry_after and super().is_retry(method, status_code, has_retry_after)


class GuardedAdapter(HTTPAdapter):
    """Asks the guard before each request that may write, after all waiting of ours: nothing of this process comes in
    between. Where the server is asked too much it waits as it is told: what was refused so was not done."""

    def __init__(
        self,
        server: Server,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> None:
        self._guard, self._bucket, self._sleep = server.guard, server.bucket, sleep
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        for tries in range(TRIES + 1):
            if self._bucket:
                self._bucket.take()
            if self._guard and request.method not in READING:
                self._guard()
            answer = super().send(request, *args, **options)
            pause_s = find_pause(answer)
            if pause_s is None or tries == TRIES:
                return answer
            answer.close()
            self._sleep(pause_s)
        raise AssertionError("the last try is answered")


def find_pause(answer: requests.Response) -> float | None:
    """Seconds after which a server that has too much to do may be asked the same again; None where it did not refuse
    for that, or wants more time than a cycle has."""
    said = answer.headers.get("Retry-After", "")
    if answer.status_code not in SLOWED or not (said or answer.status_code == TOO_MANY):
        return None
    try:
        pause_s = Retry().parse_retry_after(said) if said else PAUSE_S
    except InvalidHeader:
        pause_s = PAUSE_S
    return pause_s if pause_s <= LONGEST_PAUSE_S else None


def make_session(server: Server) -> requests.Session:
    """A session for one server, that calls its guard before each write.

    The shell's proxies, .netrc and CA variables are not for these servers: each has its own *_CACERT.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = server.verify
    session.hooks["response"].append(refuse_foreign)
    retry = QuickRetry(
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
    adapter = GuardedAdapter(server, max_retries=retry, pool_maxsize=CONNECTIONS)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def refuse_foreign(answer: requests.Response, *_: Any, **__: Any) -> None:
    """Raise NotTheServer for a page: none of these servers writes one, and a proxy's 404 is not "there is none"."""
    if answer.headers.get("Content-Type", "").partition(";")[0].strip() == "text/html":
        raise NotTheServer(f"a page of HTML with status {answer.status_code}, as a proxy writes it")


def refuse_part(answer: requests.Response, *_: Any, **__: Any) -> None:
    """Raise Denied for a part: Consul leaves out what the token may not read, and says so in a header only (1.11)."""
    if answer.headers.get(FILTERED) == "true" and "/v1/kv/" in answer.url:
        prefix = urlsplit(answer.url).path.removeprefix("/v1/kv/")
        what = f"Consul denied: read all keys below {prefix}: the token sees only a part of them"
        mend = "take a token that may read the whole prefix in CONSUL_HTTP_TOKEN; `riti bootstrap` makes one"
        raise Denied.because(what, mend)


def decode(text: str | bytes) -> Any:
    """The value of a JSON text; NotTheServer where it is none."""
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise NotTheServer("no JSON, or only the beginning of it") from error


def decode_at_once(answer: requests.Response, *_: Any, stream: bool = False, **__: Any) -> None:
    """Raise NotTheServer where an answer is no JSON (and no file of a task), before anybody reads half of it.

    Whoever takes it as it comes, by stream, looks itself.

    What was decoded is kept for whoever asks the answer for it.
    """
    if stream or not answer.ok or not answer.content or RAW in answer.url:
        return
    value = decode(answer.content)
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
