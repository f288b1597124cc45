"""Asks the gateway, the one thing on the Internet that a box speaks to: one request at a time, never tried twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry, Timeout

from ritilib.box.clock import Clock, is_valid_at
from ritilib.box.tls import Judge, make_connection, make_context
from ritilib.errors import Denied, RitiError, ServerError, Unreachable

CONNECT_S, ANSWER_S = 5.0, 15.0
LONGEST_ANSWER = 1 << 20  # bytes; a box's live value is 20 KB
LONGEST_PAUSE_S = 600.0
_LATER = (408, 425, 429, 500, 502, 503, 504)  # and a 500 of Consul is one that has no leader
# answered by Consul itself whatever is in it, and a box is let through to it in any case
_ASKS_TIME = ("POST", "/v1/acl/login", b"{}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)

    def decode(self) -> Any:
        """The value of its JSON; Unreachable where it is none."""
        try:
            return json.loads(self.data)
        except ValueError:
            raise Unreachable.because("what answered is not the gateway", "see what is before it") from None


class Busy(Unreachable):
    """It has too much to do; pause_s is how long it asked to be left alone (0: it did not say)."""

    pause_s = 0.0


class ClockUnsure(Exception):
    """The server's certificate is not good now, by a clock that may be wrong."""


class Gateway:
    """addresses are "https://HOST:PORT", each as good as the others; authority is the PEM that verifies them all.

    Methods raise Unreachable (no answer: the
    request may or may not have been done), Denied and ServerError, none of which says a token.
    """

    def __init__(self, addresses: Sequence[str], authority: str, clock: Clock) -> None:
        self._addresses, self._authority, self._clock = tuple(addresses), authority, clock
        self._turn = 0
        self._pools: dict[str, HTTPSConnectionPool] = {}
        self._files: tuple[Path, Path] | None = None

    def use_certificate(self, certificate: Path, key: Path) -> None:
        """Show this certificate from now on; call it again when the file says something new."""
        self._files = (certificate, key)
        self.close()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def ask(
        self,
        method: str,
        path: str,
        asked: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        accepted: Sequence[int] = (),
    ) -> Answer:
        """The answer to one request; asked says it in words. accepted are statuses besides 2xx that are answers.

        The next request goes to the next address where this one had no answer.
        """
        address = self._addresses[self._turn % len(self._addresses)]
        target = quote(path) + (f"?{urlencode(query)}" if query else "")
        given = (method, target, headers or {}, body, wait_s, asked)
        try:
            try:
                answer = self._send(address, *given)
            except ClockUnsure:
                self._ask_time(address)
                answer = self._send(address, *given)
        except ClockUnsure:
            self._turn += 1
            raise self._unreachable(address, asked, "its certificate is not valid now") from None
        except RitiError:
            self._turn += 1
            raise
        if 200 <= answer.status < 300 or answer.status in accepted:
            return answer
        if answer.status in _LATER:
            self._turn += 1
        raise self._refuse(address, asked, answer)

    def _send(
        self,
        address: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        wait_s: float,
        asked: str,
    ) -> Answer:
        if address not in self._pools:
            self._pools[address] = self._open(address, self._judge, self._files)
        return self._exchange(self._pools[address], address, method, target, headers, body, asked, wait_s)

    def _exchange(
        self,
        pool: HTTPSConnectionPool,
        address: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        asked: str,
        wait_s: float = 0.0,
    ) -> Answer:
        try:
            found = pool.urlopen(
                method,
                target,
                body=body,
                headers={"Content-Type": "application/json", "User-Agent": "riti-box", **headers},
                retries=False,
                redirect=False,
                timeout=Timeout(connect=CONNECT_S, read=ANSWER_S + wait_s * 17 / 16),  # Consul's own jitter
                preload_content=False,
            )
            data = found.read(LONGEST_ANSWER + 1)
            if len(data) > LONGEST_ANSWER:
                found.close()
                raise self._unreachable(address, asked, "its answer is too long")
            found.release_conn()
        except (HTTPError, OSError) as error:
            pool.close()
            self._pools = {place: one for place, one in self._pools.items() if one is not pool}
            raise self._unreachable(address, asked, explain(error)) from None
        return Answer(found.status, found.headers, data)

    def _open(self, address: str, judge: Judge, files: tuple[Path, Path] | None) -> HTTPSConnectionPool:
        parts = urlsplit(address)
        context = make_context(self._authority, files)
        pool = HTTPSConnectionPool(
            parts.hostname or "", parts.port or 443, maxsize=1, ssl_context=context, cert_reqs="CERT_REQUIRED"
        )
        pool.ConnectionCls = make_connection(judge)
        return pool

    def _judge(self, chain: Sequence[bytes], host: str) -> None:
        now = self._clock.now()
        if now is None or not is_valid_at(chain, self._authority, host, now):
            raise ClockUnsure

    def _ask_time(self, address: str) -> None:
        """Take the time from a gateway whose chain is verified, at the time that it says too. It is told nothing."""
        seen: list[tuple[Sequence[bytes], str]] = []
        pool = self._open(address, lambda chain, host: seen.append((chain, host)), None)
        asked = "ask for the time"
        method, path, body = _ASKS_TIME
        try:
            answer = self._exchange(pool, address, method, path, {}, body, asked)
            date = parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
        except (TypeError, ValueError):
            raise self._unreachable(address, asked, "it said no time") from None
        finally:
            pool.close()
        if not all(is_valid_at(chain, self._authority, host, date) for chain, host in seen):
            raise self._unreachable(address, asked, "its certificate is not valid at the time that it says")
        self._clock.tell(date)

    def _refuse(self, address: str, asked: str, answer: Answer) -> RitiError:
        words = " ".join(answer.data.decode(errors="replace").split())[:200]
        what = f"the gateway at {address} refused: {asked}: status {answer.status}: {words}"
        if answer.status in _LATER:
            busy = Busy.because(what, "it is tried again")
            busy.pause_s = find_pause(answer.headers.get("Retry-After", ""))
            return busy
        if answer.status in (401, 403):
            return Denied.because(what, "see that the box is in the fleet, and not revoked")
        return ServerError.because(what, "see the gateway's log")

    def _unreachable(self, address: str, asked: str, why: str) -> Unreachable:
        what = f"the gateway at {address} gave no answer ({asked}): {why}"
        return Unreachable.because(what, "see that the box has a network, and that the gateway runs")


def explain(error: Exception) -> str:
    """What went wrong with a connection, without what was sent over it."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not by the authority that the card names, or not for this address"
    return type(error).__name__


def find_pause(said: str) -> float:
    """Seconds of a Retry-After; 0 where it says none."""
    try:
        pause_s = Retry().parse_retry_after(said) if said else 0.0
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
    return min(max(pause_s, 0.0), LONGEST_PAUSE_S)
