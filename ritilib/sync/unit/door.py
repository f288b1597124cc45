"""A PBX that is to be replaced takes no new call, is seen without one, and only then may go (DESIGN, rule 9)."""

from __future__ import annotations

import json
import time

from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import ServerError
from ritilib.reconcile.state import encode_live, read_live_files
from ritilib.render.names import CLOSED_DOOR, OPEN_DOOR, UnitNames
from ritilib.sync.unit.word import Word, read_word

PLAN = "extensions.conf"
# A value in Consul was in force after 0.24 s (bench reload); a PBX that takes longer is asked again at the next cycle.
CLOSING_S = 5.0
LOOK_EVERY_S = 0.1


def count_calls(nomad: NomadClient, names: UnitNames) -> str:
    """Why the PBX may not be replaced as far as its last word goes; "" where it says that it has no call."""
    return _judge(read_word(nomad, names.job_id))


def close_door(names: UnitNames, consul: ConsulClient, nomad: NomadClient, within_s: float) -> str:
    """Have the PBX refuse new calls, and see it without any: "" where that is so now.

    Else the reason, and the door is open again. What is closed is the dial plan in force, not the one that is wished:
    that may need the task that is to come. That its watcher acknowledges the closed one shows that it is alive, so that
    no old word is believed. Raises Conflict where another writes its value meanwhile.
    """
    entry = consul.read(names.kv_key)
    plan = json.loads(entry.value)["files"].get(PLAN, "") if entry else ""
    if entry is None or plan.count(OPEN_DOOR) + plan.count(CLOSED_DOOR) != 1:
        return "its dial plan in force cannot refuse calls"
    text, index = write_closed(entry.value), entry.modify_index
    if text != entry.value:
        index = consul.write(names.kv_key, text, index)
    closed = {PLAN: plan.replace(OPEN_DOOR, CLOSED_DOOR)}
    end = time.monotonic() + within_s
    while True:
        word = read_word(nomad, names.job_id)
        if word and not word.is_running:
            return ""
        in_force = word is not None and word.has_in_force(closed)
        why = _judge(word) if in_force else "it does not acknowledge that it shall take no new call"
        if not why:
            return ""
        if time.monotonic() >= end:
            consul.write(names.kv_key, write_open(text), index)
            return why
        time.sleep(LOOK_EVERY_S)


def open_door(names: UnitNames, consul: ConsulClient) -> bytes:
    """Have the PBX take calls, where it does not; its value. Raises Conflict, and ServerError where it has no value."""
    entry = consul.read(names.kv_key)
    if entry is None:
        raise ServerError.because(
            f"the value of {names.key} in Consul is gone", "the next sync writes it again"
        )
    text = write_open(entry.value)
    if text != entry.value:
        consul.write(names.kv_key, text, entry.modify_index)
    return text


def reopen_door(names: UnitNames, consul: ConsulClient) -> None:
    """Have a PBX take calls that was told to take none, and leave any other value as it is, whoever wrote it."""
    entry = consul.read(names.kv_key)
    # where there is no dial plan of ours, nothing of it can be closed
    plan = (read_live_files(entry.value) or {}).get(PLAN) if entry else None
    if entry and isinstance(plan, str) and CLOSED_DOOR in plan:
        consul.write(names.kv_key, write_open(entry.value), entry.modify_index)


def write_closed(value: bytes) -> bytes:
    """The live value with its door closed; the same bytes otherwise."""
    return _rewrite(value, OPEN_DOOR, CLOSED_DOOR)


def write_open(value: bytes) -> bytes:
    """The other way round."""
    return _rewrite(value, CLOSED_DOOR, OPEN_DOOR)


def _rewrite(value: bytes, before: str, after: str) -> bytes:
    said = json.loads(value)
    said["files"][PLAN] = said["files"].get(PLAN, "").replace(before, after)
    return encode_live(said)


def _judge(word: Word | None) -> str:
    if word is None:
        return "it has not said whether it has a call"
    if word.channels is None:
        return "it does not know whether it has a call"
    if word.channels:
        return "it has a call" if word.channels <= 2 else "it has calls"
    return ""
