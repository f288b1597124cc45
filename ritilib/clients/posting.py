"""Sends one small document to somebody else's HTTP server: verified, never redirected, and bounded in every way."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3

from ritilib.clients.session import refused, unreachable
from ritilib.clients.watching import WatchSession
from ritilib.errors import RitiError, Unreachable

CONNECT_S, SILENCE_S = 3.0, 10.0
WHOLE_S = 20.0  # one request from its beginning to its end, however slowly the answer drips
ANSWER_LIMIT = 4 << 10  # of an answer's bytes, for the words of an error
_LOCAL = ("localhost", "127.0.0.1", "::1")
_PASSING = (408, 425, 429)  # and all of 5xx: the same request may be taken later


@dataclass(frozen=True)
class Post:
    """One request: url may carry a secret and is never shown; body is JSON."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Post({show_origin(self.url)})"


class Poster:
    """name is what its errors call the other side ("Gitea"), variable where its token is given."""

    def __init__(self, name: str, variable: str, ca_file: str = "") -> None:
        self._name, self._variable, self._verify = name, variable, ca_file or True
        self._lock = threading.Lock()
        self._session: WatchSession | None = None
        self._is_ended = False

    def send(self, post: Post) -> None:
        """Return when the other side has taken it.

        Raises Unreachable where the same may be tried again, Denied where another token is needed, and ServerError
        where it will never be taken, as with a redirect: the token is for this host alone.
        """
        asked, origin = "POST", show_origin(post.url)
        session = self._open(origin)
        end = threading.Timer(WHOLE_S, session.abort)
        end.start()
        try:
            with session.post(
                post.url,
                data=post.body,
                headers={"Content-Type": "application/json", "User-Agent": "riti", **post.headers},
                timeout=(CONNECT_S, SILENCE_S),
                allow_redirects=False,
                stream=True,
            ) as answer:
                status = answer.status_code
                words = answer.raw.read(ANSWER_LIMIT, decode_content=True).decode(errors="replace")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise unreachable(self._name, origin, asked, error) from None
        finally:
            end.cancel()
            end.join()
            session.close()
        if not 200 <= status < 300:
            raise self._judge(origin, asked, status, words)

    def abort(self) -> None:
        """End what waits, now and from now on; from any thread."""
        with self._lock:
            self._is_ended = True
            if self._session:
                self._session.abort()

    def _open(self, origin: str) -> WatchSession:
        with self._lock:
            if self._is_ended:
                raise Unreachable.because(
                    f"{self._name} at {origin} is asked no more", "this controller ends"
                )
            self._session = WatchSession(self._verify)
            return self._session

    def _judge(self, origin: str, asked: str, status: int, words: str) -> RitiError:
        if 300 <= status < 400:
            words = (
                "it redirects, and nothing is sent to where it points; give the address that answers itself"
            )
        error = refused(self._name, origin, asked, status, words, self._variable)
        if status in _PASSING or status >= 500:
            return Unreachable(error.problems)
        return error


def show_origin(url: str) -> str:
    """The address without its path, which may be a secret: "https://chat.example:8443"; "?" where it is none."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "?"


def is_safe(url: str) -> bool:
    """Whether a secret may be sent there: https, or http on this very machine; no name and no password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
