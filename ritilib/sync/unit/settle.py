"""What was replaced is judged, noted, and taken back where it is bad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ritilib.errors import Problem
from ritilib.reconcile.plan import is_due, is_renewable
from ritilib.reconcile.rollout import Stage
from ritilib.reconcile.state import Record, Wish, hash_text
from ritilib.sync.observe import Places
from ritilib.sync.unit.apply import Servers
from ritilib.sync.unit.judge import judge_unit
from ritilib.sync.unit.last_good import go_back, note_good


@dataclass(frozen=True)
class Settled:
    """One unit's new entry in the inventory with its index, what it was found, and what a person should see of it."""

    record: Record
    index: int
    stage: Stage
    problem: Problem | None = None


def settle_unit(
    wish: Wish, record: Record, index: int, servers: Servers, now: datetime, within_s: float
) -> Settled:
    """Judge a unit whose task was replaced, within_s at the most; record and index are its inventory entry.

    What ran before is forgotten when the new one is good, and brought back when it is bad. Raises as judge_unit and
    go_back do.
    """
    key, entry = wish.names.key, Places(wish.names.fleet).record(wish.names.key)
    verdict = judge_unit(wish, record, servers.nomad, servers.consul, now, within_s)
    if verdict.stage == "watched":
        what = f"{key}: not known to be well yet: {verdict.why}"
        mend = f"the next sync looks again; see `nomad job status {wish.names.job_id}`"
        if verdict.value == hash_text(wish.live_value(record.secrets_version)) != record.value:
            # its door was opened: noted, or the next cycle would take it for somebody else's doing
            record = replace(record, value=verdict.value, value_index=verdict.value_index)
            index = servers.consul.write(entry, record.to_bytes(), index)
        return Settled(record, index, "watched", Problem("", 0, 0, what, mend))
    if verdict.stage == "good":
        good = replace(record, judged="good", judged_at=now.isoformat())
        if verdict.value:
            good = replace(good, value=verdict.value, value_index=verdict.value_index)
        good, index = note_good(wish.names, good, index, servers.consul)
        return Settled(good, index, "good")
    done, index = go_back(wish, record, index, servers.nomad, servers.consul, now)
    what = f"{key} did not come up as it is wished, and went back: {verdict.why}"
    return Settled(done, index, "bad", Problem("", 0, 0, what, _mend(wish)))


def describe_refused(refused: Iterable[Wish], records: Mapping[str, Record], now: datetime) -> list[Problem]:
    """A problem for each unit whose wished job is known to be bad; records: the inventory, by unit."""
    return [
        Problem("", 0, 0, f"{wish.names.key} stays what it was: {_say(wish, records, now)}", _mend(wish))
        for wish in refused
    ]


def _say(wish: Wish, records: Mapping[str, Record], now: datetime) -> str:
    said, record = "its wished job did not come up", records[wish.names.key]
    if is_due(record, now) and not is_renewable(wish, record):
        # its peers in the wish are others than those that it runs with, and one document in Vault serves both
        return (
            f"{said}, and its overlay certificate, due since {record.renew_at[:10]}, is not renewed meanwhile"
        )
    return said


def _mend(wish: Wish) -> str:
    return f"see `nomad job history {wish.names.job_id}`, and merge another; this one is not tried again"
