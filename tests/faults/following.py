"""What changes at Nomad and Consul while a row runs, followed in threads that outlive outages of either."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.faults.servers import Servers

WAIT_S = 1  # one blocking query: so long the end of a row waits at the most
AGAIN_S = 0.2


@dataclass(frozen=True)
class Written:
    """One thing as it was seen after a change; value: the job, the key's bytes, None where it was removed.

    index: the server's, of that change.
    """

    place: str
    index: int
    value: Any


@dataclass
class Followed:
    """Everything that was noticed so far, in each server's order."""

    writes: list[Written] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, one: Written) -> None:
        with self.lock:
            self.writes.append(one)

    def list_writes(self) -> list[Written]:
        with self.lock:
            return list(self.writes)


@contextmanager
def follow(servers: Servers, prefix: str = "riti/") -> Iterator[Followed]:
    """Notice every job that changes, and every key below the prefix, while the context lasts.

    Consul's blocking query tells the newest state: two writes within a millisecond may be seen as one. What was gone
    and is back is seen all the same, by its CreateIndex.
    """
    followed, ends = Followed(), threading.Event()
    keys = _Keys(servers, prefix, followed)
    index = int(servers.ask("NOMAD", "GET", "jobs").headers["X-Nomad-Index"])
    threads = [
        threading.Thread(target=_again, args=(keys.look, ends), daemon=True),
        threading.Thread(target=_again, args=(_Jobs(servers, index, followed, ends).look, ends), daemon=True),
    ]
    for one in threads:
        one.start()
    try:
        yield followed
    finally:
        ends.set()
        for one in threads:
            one.join(60)


def _again(look: Any, ends: threading.Event) -> None:
    while not ends.is_set():
        try:
            look()
        except (requests.RequestException, ValueError, KeyError):
            ends.wait(AGAIN_S)  # the server is away, which is what the row is about


class _Keys:
    def __init__(self, servers: Servers, prefix: str, followed: Followed) -> None:
        self.servers, self.prefix, self.followed = servers, prefix, followed
        self.index = 0
        self.known: dict[str, int] = {}
        self.look(first=True)

    def look(self, first: bool = False) -> None:
        path = f"kv/{self.prefix}?recurse&index={self.index}&wait={WAIT_S}s"
        answer = self.servers.ask("CONSUL_HTTP", "GET", path, timeout=WAIT_S + 10)
        index = int(answer.headers["X-Consul-Index"])
        if index == self.index:
            return
        self.index = index if index > self.index else 0  # it went back: a restore
        entries = {one["Key"]: one for one in (answer.json() if answer.status_code == 200 else ())}
        for key in sorted(self.known.keys() - entries.keys()):
            self.followed.note(Written(f"key {key}", index, None))
        for key, one in sorted(entries.items(), key=lambda pair: pair[1]["ModifyIndex"]):
            if not first and self.known.get(key) != one["ModifyIndex"]:
                value = base64.b64decode(one["Value"] or "")
                self.followed.note(Written(f"key {key}", one["ModifyIndex"], value))
        self.known = {key: one["ModifyIndex"] for key, one in entries.items()}


class _Jobs:
    def __init__(self, servers: Servers, index: int, followed: Followed, ends: threading.Event) -> None:
        self.servers, self.index, self.followed, self.ends = servers, index, followed, ends

    def look(self) -> None:
        path = f"event/stream?topic=Job&index={self.index + 1}"
        # a heartbeat comes every 10 s; a shorter silence ends the row's wait, and the stream is opened again
        answer = self.servers.ask("NOMAD", "GET", path, stream=True, timeout=WAIT_S)
        with answer:
            for line in answer.iter_lines(chunk_size=1 << 16):
                if self.ends.is_set():
                    return
                self._read(json.loads(line))

    def _read(self, told: Any) -> None:
        for event in told.get("Events") or ():
            if event["Topic"] != "Job" or event["Index"] <= self.index:
                continue
            removed = event["Type"] in ("JobDeregistered", "JobBatchDeregistered")
            job = event["Payload"]["Job"]
            if event["Type"] in ("JobRegistered", "JobDeregistered", "JobBatchDeregistered"):
                value = None if removed and not job.get("Stop") else job
                self.followed.note(Written(f"job {event['Key']}", event["Index"], value))
        self.index = max(self.index, int(told.get("Index", 0)))
