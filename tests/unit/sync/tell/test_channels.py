"""What the forge and those who are notified get, over HTTP on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ritilib.clients.forge import Status
from ritilib.errors import RitiError, Unreachable
from ritilib.sync.tell.channels import Notice, list_channels, make_notice, sign
from ritilib.sync.tell.events import Event
from ritilib.sync.tell.outbox import Letter
from ritilib.sync.tell.settings import read_tell_settings
from tests.unit.receiver import receive

SHA = "4b9115f" + "0" * 33
AT = datetime(2026, 11, 25, 4, 5, 6, tzinfo=UTC)
KEY, NEXT = "a-key-of-some-length", "the-next-key-of-some-length"
NOTICE = Notice("msg_1", b'{"text": "hello"}')


def prove(key: bytes, headers, body: bytes) -> str:
    """What a receiver computes, as Standard Webhooks has it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_a_message_has_a_text_for_people_and_the_rest_for_programs() -> None:
    units = tuple(f"acme/b{number:03}" for number in range(300))
    notice = make_notice(Event("went-back", "300 units went back", SHA, units), "demo", "host:1", AT)
    with receive() as other:
        settings = read_tell_settings({"RITI_NOTIFY_URL": f"{other.url}/hook"}, "t.git", "main")
        list_channels(settings, lambda secrets: None)["notify-1"].send(Letter("notify-1", notice))
        [taken] = other.taken
    assert taken.path == "/hook"
    said = taken.said
    assert said.pop("units") == list(units[:100])
    assert said == {
        "text": "RITI, fleet demo: 300 units went back",
        "event": "went-back",
        "fleet": "demo",
        "commit": SHA,
        "unit_count": 300,
        "controller": "host:1",
        "time": "2026-11-25T04:05:06Z",
    }
    assert taken.headers["webhook-id"] == notice.id
    assert "webhook-signature" not in taken.headers


def test_a_message_is_signed_and_stays_the_same_when_it_is_tried_again(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n{NEXT}\n")
    hidden: set[str] = set()
    with receive() as other:
        environ = {"RITI_NOTIFY_URL": other.url, "RITI_NOTIFY_SECRET_FILE": str(keys)}
        channels = list_channels(read_tell_settings(environ, "t.git", "main"), hidden.update)
        other.answer(503)
        with pytest.raises(Unreachable):
            channels["notify-1"].send(Letter("notify-1", NOTICE))
        channels["notify-1"].send(Letter("notify-1", NOTICE))
        first, second = other.taken
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    wanted = [prove(key.encode(), second.headers, second.body) for key in (KEY, NEXT)]
    assert second.headers["webhook-signature"].split() == wanted
    assert {KEY, NEXT, other.url} <= hidden


def test_a_key_may_be_a_standard_webhooks_secret() -> None:
    raw = b"0123456789abcdef01234567"
    headers = sign(NOTICE, [f"whsec_{base64.b64encode(raw).decode()}"], 1764043200)
    assert headers["webhook-timestamp"] == "1764043200"
    assert headers["webhook-signature"] == prove(raw, headers, NOTICE.body)


def test_an_address_that_was_taken_out_of_its_file_is_told_no_more(tmp_path: Path) -> None:
    with receive() as one, receive() as two:
        file = tmp_path / "urls"
        file.write_text(f"{one.url}/1\n{two.url}/2\n")
        settings = read_tell_settings({"RITI_NOTIFY_URL_FILE": str(file)}, "t.git", "main")
        channels = list_channels(settings, lambda secrets: None)
        assert list(channels) == ["notify-1", "notify-2"]
        channels["notify-2"].send(Letter("notify-2", NOTICE))
        assert [taken.path for taken in two.taken] == ["/2"]
        file.write_text(f"{one.url}/new\n")
        channels["notify-1"].send(Letter("notify-1", NOTICE))
        assert [taken.path for taken in one.taken] == ["/new"]
        with pytest.raises(RitiError, match="held more"):
            channels["notify-2"].send(Letter("notify-2", NOTICE))


def test_the_forges_token_is_read_for_each_status(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("the-first-token\n")
    hidden: set[str] = set()
    with receive() as other:
        environ = {"RITI_FORGE": "gitea", "RITI_FORGE_URL": other.url, "RITI_FORGE_TOKEN_FILE": str(token)}
        settings = read_tell_settings(environ, "https://git.example/acme/t.git", "main")
        channel = list_channels(settings, hidden.update)["forge"]
        channel.send(Letter("forge", Status(SHA, "success", "12 units as wished", "riti/demo")))
        token.write_text("the-second-token\n")
        channel.send(Letter("forge", Status(SHA, "success", "12 units as wished", "riti/demo")))
        sent = [(one.path, one.headers["authorization"]) for one in other.taken]
    path = f"/api/v1/repos/acme/t/statuses/{SHA}"
    assert sent == [(path, "token the-first-token"), (path, "token the-second-token")]
    assert hidden == {"the-first-token", "the-second-token"}
