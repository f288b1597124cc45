"""A fleet of any size in Nomad and Consul as its first sync would leave it, written by the fastest way there is.

A real first sync of 10,000 boxes costs some 400,000 requests to Vault and 30,000 processes of nebula-cert, which no
benchmark of what comes after it needs. So the jobs are registered bare, over CONNECTIONS, and the values and the
inventory are written in transactions; Vault gets nothing. What is written is what `plan` finds to be as wished, which
the caller proves by a sync that changes nothing.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import orjson
import requests

from bench.lab.servers import open_session
from ritilib.clients.settings import Server, Settings
from ritilib.gitops.desired import Desired
from ritilib.reconcile.box_value import encode_box_value
from ritilib.reconcile.state import Record, Wish, hash_text
from ritilib.sync.observe import Places
from ritilib.sync.planned import list_wishes

CONNECTIONS = 16
SECRETS_VERSION = 1
RENEWED_AFTER = timedelta(days=20)
OPERATIONS = 64  # of one transaction; Consul takes 128, and 512 KB
MOST_BYTES = 400_000

Item = TypeVar("Item")
Result = TypeVar("Result")


def seed_fleet(desired: Desired, settings: Settings, report: Callable[[str], None]) -> None:
    """Write every unit of the commit, with tokens that may do all."""
    wishes = list_wishes(desired)
    report(f"registering {len(wishes)} jobs over {CONNECTIONS} connections")
    indexes = dict(
        act_side_by_side(lambda session, wish: _register(session, settings.nomad, wish), wishes, settings)
    )
    report("writing their values and the inventory")
    renew_at = (datetime.now(UTC) + RENEWED_AFTER).isoformat()
    places = Places(desired.fleet)

    def list_entries() -> Iterator[tuple[str, bytes]]:
        for wish in wishes:
            value = wish.live_value(SECRETS_VERSION)
            yield wish.names.kv_key, value
            digests = wish.digests
            box = encode_box_value(wish.box_files, SECRETS_VERSION, desired.commit) if digests.box else b""
            if box:
                yield wish.names.box_kv_key, box
            record = Record(
                "applied",
                desired.commit,
                job=digests.job,
                live=digests.live,
                secrets=digests.secrets,
                policies=digests.policies,
                value=hash_text(value),
                secrets_version=SECRETS_VERSION,
                box=digests.box,
                box_value=hash_text(box) if box else "",
                box_version=SECRETS_VERSION,
                job_modify_index=indexes[wish.names.key],
                renew_at=renew_at,
            )
            yield places.record(wish.names.key), record.to_bytes()

    with open_session(settings.consul) as session:
        for group in _group(list_entries()):
            operations = [
                {"KV": {"Verb": "set", "Key": key, "Value": base64.b64encode(value).decode()}}
                for key, value in group
            ]
            session.put(f"{settings.consul.address}/v1/txn", data=orjson.dumps(operations)).raise_for_status()


def act_side_by_side(
    act: Callable[[requests.Session, Item], Result],
    items: Sequence[Item],
    settings: Settings,
    connections: int = CONNECTIONS,
) -> list[Result]:
    """act of each item, in the items' order, over so many connections with Nomad's token, kept open."""
    own = threading.local()

    def run(item: Item) -> Result:
        if not hasattr(own, "session"):
            own.session = open_session(settings.nomad)
        return act(own.session, item)

    with ThreadPoolExecutor(connections) as threads:
        return list(threads.map(run, items))


def _register(session: requests.Session, server: Server, wish: Wish) -> tuple[str, int]:
    asked = session.post(f"{server.address}/v1/jobs/parse", json={"JobHCL": wish.job, "Canonicalize": True})
    asked.raise_for_status()
    body = b'{"Job":' + asked.content + b"}"
    answer = session.post(f"{server.address}/v1/jobs", data=body)
    answer.raise_for_status()
    return wish.names.key, int(answer.json()["JobModifyIndex"])


def _group(entries: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    group: list[tuple[str, bytes]] = []
    size = 0
    for key, value in entries:
        length = len(value) * 4 // 3
        if group and (len(group) == OPERATIONS or size + length > MOST_BYTES):
            yield group
            group, size = [], 0
        group.append((key, value))
        size += length
    if group:
        yield group
