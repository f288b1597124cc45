"""Nomad's event stream, line by line."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from ritilib.clients.nomad_events import JobEvents, NomadEvents, read_line
from ritilib.clients.settings import Server, Settings
from ritilib.clients.watching import WatchSession
from ritilib.errors import Denied, Unreachable
from tests.unit.http_script import Asked, serve_script

TOKEN = "b6a1-token"


def make_settings(url: str) -> Settings:
    server = Server(url, TOKEN, timeout_s=5)
    return Settings(server, server, server)


def make_line(index: int, *job_ids: str) -> bytes:
    events = [{"Topic": "Job", "Type": "JobRegistered", "Key": one, "Index": index} for one in job_ids]
    return json.dumps({"Index": index, "Events": events}).encode() + b"\n"


def test_lines_are_told_as_they_come_whatever_the_pieces() -> None:
    with serve_script() as script, ThreadPoolExecutor(1) as pool:
        told = NomadEvents(make_settings(script.url), WatchSession(True)).follow_jobs(7)
        first = pool.submit(next, told)
        asked = script.next()
        assert (
            "topic=Job" in asked.head and "index=7" in asked.head and f"X-Nomad-Token: {TOKEN}" in asked.head
        )
        asked.open_stream()
        asked.send_chunk(b"{}\n")
        assert first.result(timeout=20) == JobEvents(0, ())
        second = pool.submit(next, told)
        line = make_line(9, "lab--acme--salto", "other")
        asked.send_chunk(line[:20])
        asked.send_chunk(line[20:])
        assert second.result(timeout=20) == JobEvents(9, ("lab--acme--salto", "other"))
        third = pool.submit(next, told)
        asked.close()
        with pytest.raises(Unreachable):
            third.result(timeout=20)


def test_a_deployment_that_failed_is_told_and_no_other() -> None:
    events = [
        {
            "Topic": "Deployment",
            "Key": f"d{count}",
            "Payload": {"Deployment": {"JobID": job, "Status": status}},
        }
        for count, (job, status) in enumerate([("lab--acme--salto", "failed"), ("other", "running")])
    ]
    line = json.dumps({"Index": 9, "Events": events}).encode()
    assert read_line(line) == JobEvents(9, ("lab--acme--salto",))


def ask_once(answer) -> BaseException | None:
    with serve_script() as script, ThreadPoolExecutor(1) as pool:
        told = NomadEvents(make_settings(script.url), WatchSession(True)).follow_jobs(0)
        first = pool.submit(next, told)
        answer(script.next())
        return first.exception(timeout=20)


def end_properly(asked: Asked) -> None:
    asked.open_stream()
    asked.send_chunk(b"")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda asked: asked.answer("403 Forbidden", b"Permission denied"), Denied),
        (lambda asked: asked.answer("500 Internal Server Error", b"No cluster leader"), Unreachable),
        (lambda asked: asked.answer("200 OK", b"<html>\n"), Unreachable),
        (lambda asked: asked.answer("200 OK", b'{"Index": 3, "Events": [7]}\n'), Unreachable),
        (end_properly, Unreachable),
        (lambda asked: asked.close(), Unreachable),
    ],
    ids=["denied", "no-leader", "no-json", "no-event", "ended", "closed"],
)
def test_whatever_is_no_stream_is_an_error_without_the_token(answer, expected: type[Exception]) -> None:
    error = ask_once(answer)
    assert isinstance(error, expected) and TOKEN not in str(error)


def test_events_of_other_topics_name_no_job() -> None:
    line = {"Index": 4, "Events": [{"Topic": "Node", "Key": "n"}, {"Topic": "Job", "Key": "a"}]}
    assert read_line(json.dumps(line).encode()) == JobEvents(4, ("a",))
