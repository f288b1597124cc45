"""What a unit ran before it was replaced, kept until the new one is known to be good, and brought back where it is not.

Beside the inventory, so that going back needs no Git.
"""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import Conflict, ServerError
from ritilib.reconcile.state import Record, Wish, read_record
from ritilib.render.names import UnitNames
from ritilib.sync.observe import Places
from ritilib.sync.unit.door import write_open
from ritilib.sync.unit.job import write_job
from ritilib.sync.unit.values import Put, put_all

# What Nomad adds to a job that it is asked for; the rest is the specification.
_OF_SERVER = frozenset(
    [
        "CreateIndex",
        "ModifyIndex",
        "JobModifyIndex",
        "Version",
        "VersionTag",
        "Status",
        "StatusDescription",
        "SubmitTime",
        "Stable",
        "NomadTokenID",
        "ConsulToken",
        "VaultToken",
        "Dispatched",
        "DispatchIdempotencyToken",
    ]
)


def name_last_good(names: UnitNames) -> str:
    return f"riti/{names.fleet}/last-good/{names.key}"


def describe_last_good(
    wish: Wish,
    record: Record,
    held: Entry | None,
    held_box: Entry | None,
    nomad: NomadClient,
    consul: ConsulClient,
) -> bytes | None:
    """What is to be kept of what is in force: job, value (held, as it is in Consul now) and the inventory's entry.

    held_box is its box's value where that changes too (None: it does not), as both ends go back together. None where
    nothing is known of what runs, and where something is kept already: that stays, since the unit was replaced, and is
    not known to be good yet.
    """
    if not record.job:
        return None
    if record.replaced_at and not record.judged and consul.read(name_last_good(wish.names)):
        return None
    job = nomad.read_job(wish.names.job_id)
    if job is None:
        return None
    kept = {
        "job": {name: said for name, said in job.items() if name not in _OF_SERVER},
        "value": base64.b64encode(write_open(held.value)).decode() if held else "",
        "box": base64.b64encode(held_box.value).decode() if held_box else "",
        "record": asdict(replace(record, state="applied")),
    }
    return json.dumps(kept, sort_keys=True).encode()


def note_good(names: UnitNames, good: Record, index: int, consul: ConsulClient) -> tuple[Record, int]:
    """Write the inventory's entry of a unit that is good, and forget what was before; the entry, and its new index."""
    entry, place = Places(names.fleet).record(names.key), name_last_good(names)
    kept_index, good = good.kept_index, replace(good, kept_index=0)
    if kept_index:
        with contextlib.suppress(Conflict):
            written = consul.write_all([(entry, good.to_bytes(), index), (place, None, kept_index)])
            return good, written[0]
    index = consul.write(entry, good.to_bytes(), index)
    held = consul.read(place)
    if held:
        consul.delete(place, held.modify_index)
    return good, index


def go_back(
    wish: Wish,
    record: Record,
    index: int,
    nomad: NomadClient,
    consul: ConsulClient,
    now: datetime,
) -> tuple[Record, int]:
    """Bring back what ran before the wished job, which is noted as bad; the inventory's new entry and its index.

    An intent is recorded first, each step can be done again, and value and job go back together (rule 11). index is
    the record's ModifyIndex. Where nothing is kept (the unit is new), only the note is written. Raises
    ServerError where what is kept cannot be read, and Conflict.
    """
    entry = Places(wish.names.fleet).record(wish.names.key)
    bad = replace(record, bad_job=wish.digests.job, judged="bad", judged_at=now.isoformat(), state="applying")
    if bad != record:
        index = consul.write(entry, bad.to_bytes(), index)
    held = consul.read(name_last_good(wish.names))
    if held is None:
        done = replace(bad, state="applied")
        return done, consul.write(entry, done.to_bytes(), index)
    kept = _read(held.value, held.key)
    before = read_record(held.key, json.dumps(kept["record"]).encode())
    puts = []
    if kept["value"]:
        puts.append(Put(wish.names.kv_key, base64.b64decode(kept["value"]), record.value_index or None))
    if kept["box"]:
        puts.append(Put(wish.names.box_kv_key, base64.b64decode(kept["box"]), record.box_index or None))
    written = put_all(puts, consul)
    registered = write_job(kept["job"], nomad.plan(kept["job"]), nomad)
    done = replace(
        before,
        value_index=written.get(wish.names.kv_key, 0),
        # its box's value may name newer secrets, which stay, although its files are the same
        box_value=before.box_value if kept["box"] else record.box_value,
        box_index=written.get(wish.names.box_kv_key, record.box_index),
        job_modify_index=registered,
        replaced_by=record.replaced_by,
        replaced_at=record.replaced_at,
        kept_index=0,  # it stays, and is looked for where it is replaced
        judged="bad",
        judged_at=bad.judged_at,
        bad_job=bad.bad_job,
    )
    return done, consul.write(entry, done.to_bytes(), index)


def _read(value: bytes, key: str) -> dict[str, Any]:
    try:
        kept = json.loads(value)
        return {
            "job": dict(kept["job"]),
            "value": str(kept["value"]),
            "box": str(kept["box"]),
            "record": dict(kept["record"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        what = f"what is kept at {key} to go back to cannot be read"
        raise ServerError.because(
            what, "see who wrote it; the unit stays as it is until Git changes"
        ) from error
