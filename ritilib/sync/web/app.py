"""What the controller answers over HTTP: the forges' hooks, whether it lives and is ready, and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client.exposition import choose_encoder

from ritilib.errors import RitiError
from ritilib.sync.wake import Report, Wakeups
from ritilib.sync.web.board import Board
from ritilib.sync.web.hooks import FORGES, Forge, judge_hook
from ritilib.sync.web.metrics import Metrics
from ritilib.sync.web.rate import RateLimit

# A push of a thousand commits stays below it; one that does not is found by the next poll.
BODY_LIMIT = 5 << 20
STALLED_S = 120.0
_Answer = tuple[str, str, bytes]  # status, content type, body
_TEXT = "text/plain; charset=utf-8"
Secrets = Mapping[Forge, Sequence[str]]


class Web:
    """A WSGI application.

    POST /hook/github|gitea|gitlab wakes the loop, and the leader's where another leads: 202 for a push of the
    watched branch, 200 for what else the forge says, 401 without a word for whoever does not prove to be it, 404
    for a forge without a secret, 429 for whoever guesses or asks too often. GET /healthz and /readyz: 200 or 503
    with the reasons. GET /leads: 200 from the one that leads, 503 from the others, for a load balancer. GET
    /metrics: for Prometheus.
    """

    def __init__(
        self,
        wakeups: Wakeups,
        board: Board,
        metrics: Metrics,
        secrets: Callable[[], Secrets],
        branch: str,
        report: Report,
        stalled_s: float = STALLED_S,
        guesses: RateLimit | None = None,
        requests: RateLimit | None = None,
        leader: Wakeups | None = None,
    ) -> None:
        """secrets is asked for each hook, so that a file may change; where it raises RitiError, that is reported.

        guesses limits the hooks that are refused, requests all of them. leader is woken too where this instance leads
        not (None: nobody is).
        """
        self._wakeups = wakeups
        self._board = board
        self._metrics = metrics
        self._secrets = secrets
        self._branch = branch
        self._report = report
        self._stalled_s = stalled_s
        self._guesses = guesses or RateLimit(per_minute=20, burst=20)
        self._requests = requests or RateLimit(per_minute=600, burst=100)
        self._leader = leader
        self._pages: dict[str, Callable[[WSGIEnvironment], _Answer]] = {
            "/healthz": self._tell_health,
            "/readyz": self._tell_readiness,
            "/leads": self._tell_role,
            "/metrics": self._tell_metrics,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, kind, body = self._answer(environ)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(status, headers)
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> _Answer:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if page := self._pages.get(path):
            return page(environ) if method == "GET" else _say("405 Method Not Allowed")
        for forge in FORGES:
            if path == f"/hook/{forge}":
                return self._take_hook(forge, environ) if method == "POST" else _say("405 Method Not Allowed")
        return _say("404 Not Found")

    def _take_hook(self, forge: Forge, environ: WSGIEnvironment) -> _Answer:
        address = environ.get("REMOTE_ADDR", "")
        if not self._guesses.allows(address) or not self._requests.spend(address):
            self._metrics.hooks.labels(forge, "limited").inc()
            return _say("429 Too Many Requests")
        try:
            secrets = self._secrets().get(forge, ())
        except RitiError as error:
            self._report("hooks", error)
            return _say("503 Service Unavailable")
        if not secrets:
            return _say("404 Not Found")
        length = environ.get("CONTENT_LENGTH") or ""
        if not (length.isascii() and length.isdigit()):
            return _say("411 Length Required")
        if int(length) > BODY_LIMIT:
            return _say("413 Content Too Large")
        body = environ["wsgi.input"].read(int(length))
        if len(body) != int(length):
            return _say("400 Bad Request")
        judgement = judge_hook(forge, _read_headers(environ), body, secrets, self._branch)
        self._metrics.hooks.labels(forge, judgement).inc()
        if judgement == "refused":
            self._guesses.spend(address)
            return _say("401 Unauthorized")
        if judgement == "wake":
            self._wakeups.wake("webhook")
            if self._leader and self._board.standing.role != "leads":
                self._leader.wake("webhook")
            return _say("202 Accepted")
        return _say("200 OK")

    def _tell_health(self, _: WSGIEnvironment) -> _Answer:
        age_s = self._board.age_s
        if age_s > self._stalled_s:
            return _say("503 Service Unavailable", f"the loop has not moved for {age_s:.0f} s")
        return _say("200 OK")

    def _tell_readiness(self, _: WSGIEnvironment) -> _Answer:
        standing = self._board.standing
        lacks = standing.list_lacks()
        return _say("503 Service Unavailable", *lacks) if lacks else _say("200 OK", standing.role)

    def _tell_role(self, _: WSGIEnvironment) -> _Answer:
        role = self._board.standing.role
        return _say("200 OK" if role == "leads" else "503 Service Unavailable", role)

    def _tell_metrics(self, environ: WSGIEnvironment) -> _Answer:
        encode, kind = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        return "200 OK", kind, encode(self._metrics.registry)


def _say(status: str, *lines: str) -> _Answer:
    """A text: the lines, or the status's own words."""
    return status, _TEXT, "".join(f"{line}\n" for line in lines or [status.partition(" ")[2]]).encode()


def _read_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Lower-case name → value."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return headers | {"content-type": environ.get("CONTENT_TYPE", "")}
