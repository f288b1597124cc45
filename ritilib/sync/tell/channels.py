"""Who is told: the forge by commit statuses, and addresses that take notifications."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ritilib.clients.forge import Forge, Project, Status
from ritilib.clients.posting import Post, Poster
from ritilib.errors import RitiError
from ritilib.reconcile.wording import say
from ritilib.sync.given import Given
from ritilib.sync.tell.events import Event
from ritilib.sync.tell.outbox import Channel, Letter
from ritilib.sync.tell.settings import TellSettings, list_hidden
from ritilib.sync.web.hooks import SIGNING_TOKEN, decode_signing_token

FORGE, NOTIFY = "forge", "notify"
UNITS_TOLD = 100  # in one notification; the text and the metrics tell how many there are
Hide = Callable[[Iterable[str]], None]  # secrets that no log may show


class StatusChannel:
    """The forge; the token is read again for each status, so that it may be renewed."""

    pace_s = 1.0

    def __init__(self, project: Project, token: Given, hide: Hide) -> None:
        self._forge, self._token, self._hide = Forge(project, token.variable), token, hide

    def send(self, letter: Letter) -> None:
        assert isinstance(letter.what, Status)
        held = self._token.read()
        self._hide(held)
        self._forge.send(letter.what, held[0])

    def abort(self) -> None:
        self._forge.abort()


@dataclass(frozen=True)
class Notice:
    """One message: id is its own and stays the same however often it is tried, so that a receiver may know it again."""

    id: str
    body: bytes


class NoticeChannel:
    """The address at a place among those given; address and keys are read again for each message."""

    pace_s = 3.0  # 20 a minute; Slack takes one a second

    def __init__(
        self,
        urls: Given,
        place: int,
        keys: Given | None,
        hide: Hide,
        ca_file: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._urls, self._place, self._keys, self._hide, self._clock = urls, place, keys, hide, clock
        self._poster = Poster(f"the notified address {place + 1}", urls.variable, ca_file)

    def send(self, letter: Letter) -> None:
        assert isinstance(letter.what, Notice)
        urls = self._urls.read()
        keys = self._keys.read() if self._keys else ()
        self._hide((*list_hidden(urls), *keys))
        if self._place >= len(urls):
            what = (
                f"{self._urls.variable} holds {len(urls)} addresses, and held more when this controller began"
            )
            raise RitiError.because(what, "start the controller again")
        headers = sign(letter.what, keys, int(self._clock())) if keys else {"webhook-id": letter.what.id}
        self._poster.send(Post(urls[self._place], headers, letter.what.body))

    def abort(self) -> None:
        self._poster.abort()


def list_channels(settings: TellSettings, hide: Hide) -> dict[str, Channel]:
    """name → who is told. RitiError as Given.read."""
    channels: dict[str, Channel] = {}
    if settings.project and settings.token:
        channels[FORGE] = StatusChannel(settings.project, settings.token, hide)
    for place in range(len(settings.urls.read()) if settings.urls else 0):
        assert settings.urls
        channels[f"{NOTIFY}-{place + 1}"] = NoticeChannel(
            settings.urls, place, settings.keys, hide, settings.ca_file
        )
    return channels


def make_notice(event: Event, fleet: str, who: str, at: datetime) -> Notice:
    """The message for an event: `text` is for people (Slack and Mattermost show it), all else for programs."""
    said = {
        "text": f"RITI, fleet {fleet}: {event.text}",
        "event": event.kind,
        "fleet": fleet,
        "commit": event.commit,
        "units": event.units[:UNITS_TOLD],
        "unit_count": len(event.units),
        "controller": who,
        "time": say(at),
    }
    return Notice(f"msg_{secrets.token_hex(12)}", json.dumps(said, ensure_ascii=False).encode())


def sign(notice: Notice, keys: Sequence[str], at_s: int) -> dict[str, str]:
    """The headers of Standard Webhooks: HMAC-SHA256 over id, time and body, once with each key, so that one may follow
    another. at_s: seconds since 1970. A key is taken as it stands, or as base64 behind "whsec_"."""
    signed = f"{notice.id}.{at_s}.".encode() + notice.body
    signatures = [f"v1,{base64.b64encode(_digest(key, signed)).decode()}" for key in keys]
    return {
        "webhook-id": notice.id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signatures),
    }


def _digest(key: str, signed: bytes) -> bytes:
    raw = (decode_signing_token(key) if key.startswith(SIGNING_TOKEN) else None) or key.encode()
    return hmac.new(raw, signed, hashlib.sha256).digest()
