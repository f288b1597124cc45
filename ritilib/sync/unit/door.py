"""A PBX that is to be replaced takes no new call, is seen without one, and only then may go (DESIGN, rule 9)."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict, ServerError
from ritilib.reconcile.state import encode_live, read_live_files
from ritilib.render.names import CLOSED_DOOR, OPEN_DOOR, UnitNames
from ritilib.sync.unit.word import Speaker, Word

PLAN = "extensions.conf"
# A value in Consul was in force after 0.24 s (bench reload); a PBX that takes longer is asked again at the next cycle.
CLOSING_S = 5.0
NO_DOOR = "its dial plan in force cannot refuse calls"
LOOK_EVERY_S = 0.15


@dataclass(frozen=True)
class Closing:
    """What came of closing a door: why it is open again ("": it is closed, and there is no call), and the ModifyIndex
    of the value then (0: it was not written)."""

    why: str = ""
    index: int = 0


def count_calls(speaker: Speaker) -> str:
    """Why the PBX may not be replaced as far as its last word goes; "" where it says that it has no call."""
    return judge_calls(speaker.read())


def write_closing(held: Entry | None) -> bytes | None:
    """A PBX's value in Consul (held) with its door closed; None where its dial plan has no door that could be.

    What is closed is the dial plan in force, not the one that is wished: that may need the task that is to come.
    """
    files = (read_live_files(held.value) or {}) if held else {}
    plan = files.get(PLAN, "")
    is_whole = isinstance(plan, str) and plan.count(OPEN_DOOR) + plan.count(CLOSED_DOOR) == 1
    return write_closed(held.value) if held and is_whole else None


def close_door(
    names: UnitNames, held: Entry | None, consul: ConsulClient, speaker: Speaker, within_s: float
) -> Closing:
    """Have the PBX refuse new calls, and see it without any (await_idle). held is its value in Consul now.

    Raises Conflict where another writes its value meanwhile.
    """
    closed = write_closing(held)
    if held is None or closed is None:
        return Closing(NO_DOOR)
    index = held.modify_index
    if closed != held.value:
        index = consul.write(names.kv_key, closed, index)
    return await_idle(names, closed, index, consul, speaker, within_s)


def await_idle(
    names: UnitNames, closed: bytes, index: int, consul: ConsulClient, speaker: Speaker, within_s: float
) -> Closing:
    """See a PBX without a call whose value was just closed, and has this ModifyIndex; else its door is opened again.

    That its watcher acknowledges the closed plan shows that it is alive, so that no old word is believed. Raises
    Conflict where another writes its value meanwhile.
    """
    wanted = {PLAN: json.loads(closed)["files"][PLAN]}
    end = time.monotonic() + within_s
    while True:
        time.sleep(LOOK_EVERY_S)  # no value is in force sooner
        word = speaker.read()
        if word and not word.is_running:
            return Closing(index=index)
        in_force = word is not None and word.has_in_force(wanted)
        why = judge_calls(word) if in_force else "it does not acknowledge that it shall take no new call"
        if not why:
            return Closing(index=index)
        if time.monotonic() >= end:
            return Closing(why, consul.write(names.kv_key, write_open(closed), index))


def open_door(names: UnitNames, expected: bytes, index: int, consul: ConsulClient) -> tuple[bytes, int]:
    """Have the PBX take calls, where it does not; its value, and that one's ModifyIndex.

    expected is what its value says with an open door, index the ModifyIndex that it has as far as is known: what is
    there is looked at only where it is another. Raises Conflict, and ServerError where it has no value.
    """
    if index:
        with contextlib.suppress(Conflict):
            return expected, consul.write(names.kv_key, expected, index)
    entry = consul.read(names.kv_key)
    if entry is None:
        raise ServerError.because(
            f"the value of {names.key} in Consul is gone", "the next sync writes it again"
        )
    text, index = write_open(entry.value), entry.modify_index
    if text != entry.value:
        index = consul.write(names.kv_key, text, index)
    return text, index


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


def judge_calls(word: Word | None) -> str:
    """Why a PBX that says this may not be replaced as far as that goes; "" where it says that it has no call."""
    if word is None:
        return "it has not said whether it has a call"
    if word.channels is None:
        return "it does not know whether it has a call"
    if word.channels:
        return "it has a call" if word.channels <= 2 else "it has calls"
    return ""
