"""What was looked at, as rows and as the stable form that programs read. Pure functions of values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ritilib.reconcile.state import Record
from ritilib.reconcile.suspensions import SUSPENDING, describe_scope
from ritilib.reconcile.wording import count
from ritilib.sync.seen.look import FleetLook
from ritilib.sync.seen.status import PausedScope, Status
from ritilib.sync.seen.unit import UnitLook


@dataclass(frozen=True)
class Row:
    """One unit. state: failing, gone-back, down, held, watched, waiting, drift, applying, stopped or well."""

    unit: str
    state: str
    since: str
    why: str


def list_rows(look: FleetLook, company: str | None = None) -> tuple[Row, ...]:
    """The units that are not as they should be; of a company all units, sorted."""
    rows: dict[str, Row] = {}
    for row in _list_unwell(look):
        rows.setdefault(row.unit, row)  # the graver first
    for key, record in look.records.items():
        if key not in rows and (company or record.state == "applying"):
            rows[key] = _describe_record(key, record)
    wanted = (row for row in rows.values() if company is None or row.unit.split("/")[0] == company)
    return tuple(sorted(wanted, key=lambda row: row.unit))


def _list_unwell(look: FleetLook) -> Iterator[Row]:
    if said := look.said:
        for bad in said.failing:
            again = f"; tried again at {bad.next_try}" if bad.next_try else ""
            yield Row(bad.unit, bad.state, bad.since, f"{bad.what}{again}")
        for down in said.down:
            yield Row(down.unit, "down", down.since, down.what)
        for held in said.held:
            yield Row(held.unit, "held", held.since, f"{held.kind}: {held.why}")
        for watched in said.watched:
            yield Row(watched.unit, "watched", watched.since, watched.why)
        for waiting in said.waiting:
            until = f" until {waiting.until}" if waiting.until else ""
            yield Row(waiting.unit, "waiting", "", f"{waiting.why}{until}")
    for key, why in look.drift.items():
        yield Row(key, "drift", "", ", ".join(one.removeprefix("drift: ") for one in why))


def _describe_record(key: str, record: Record) -> Row:
    if record.stopped_at:
        return Row(key, "stopped", record.stopped_at, "no manifest names it")
    if record.state == "applying":
        return Row(key, "applying", "", f"by {record.commit[:12]}")
    return Row(key, "well", record.judged_at or record.replaced_at, f"applied by {record.commit[:12]}")


def describe_unit(found: UnitLook) -> dict[str, Any]:
    """One unit as `riti status UNIT --json` prints it; what is not there, or not known, is null."""
    job, allocation, word = found.job, found.allocation, found.word
    return {
        "unit": found.unit,
        "record": {**asdict(found.record), "last_good_is_kept": found.last_good},
        "job": {
            "job_id": job.id,
            "job_status": job.status,
            "job_stopped": job.stop,
            "job_is_as_recorded": job.modify_index == found.record.job_modify_index,
        }
        if job
        else None,
        "allocation": {
            "allocation_id": allocation.id,
            "allocation_status": allocation.client_status,
            "node_id": allocation.node_id,
            "tasks": {
                name: f"{task.state} since {task.started_at}" for name, task in allocation.task_states.items()
            },
        }
        if allocation
        else None,
        "instances": [
            {
                "instance": one.id,
                "generation": one.generation,
                "takes_calls": one.is_reached,
                "instance_state": one.state,
            }
            for one in found.instances
        ],
        "value": {
            "value_is_there": found.has_value,
            "value_is_as_recorded": found.is_value_recorded,
            "box_value_is_as_recorded": found.is_box_recorded,
        },
        "word": {
            "calls_now": word.channels,
            "in_force": found.acknowledges,
            "word_problems": list(word.problems),
        }
        if word
        else None,
        "box": found.box.describe() if found.box else None,
        "told": [{"list": _name_list(type(one).__name__), **asdict(one)} for one in found.told],
        "history": [asdict(entry) for entry in found.history],
        "lacks": list(found.lacks),
        "problems": list(found.problems),
    }


def _name_list(kind: str) -> str:
    """ "HeldUnit" → "held"."""
    return kind.removesuffix("Unit").lower()


def list_paused(said: Status) -> tuple[str, ...]:
    """A line for each thing that is suspended, or for which units wait."""
    return tuple(_say_paused(one) for one in said.paused)


def _say_paused(one: PausedScope) -> str:
    scope, until = describe_scope(one.scope), f" until {one.until}" if one.until else ""
    if one.by in SUSPENDING:
        by = one.who or "Git"
        line = f"{scope} is suspended{until} by {by}: {one.why}"
    elif one.by == "window":
        line = f"{scope}: a window of `sync.windows` is waited for{until}"
    else:
        line = f"{scope}: what hands changed is left so (`self_heal: false`)"
    more = ", …" if one.waits > len(one.named) else ""
    return f"{line}; {count(one.waits, 'unit')} waiting: {', '.join(one.named)}{more}" if one.waits else line
