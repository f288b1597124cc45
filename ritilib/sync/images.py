"""Boxes are told which image to run, wave after wave: read what is told and what they say, decide, write.

Beside the units' own rollout, and after all else of a cycle: another image changes nothing of a PBX, and what goes
wrong here leaves the units alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import ValidationError

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient
from ritilib.errors import GitopsError, Problem
from ritilib.gitops.desired import Desired, Unit
from ritilib.reconcile.image_value import ImageValue, read_image_value
from ritilib.reconcile.images import LOOK, ImageSaid, ImageTurn, Subject, find_image_turn, needs_word
from ritilib.reconcile.suspensions import Suspension, find_suspension
from ritilib.reconcile.windows import is_inside
from ritilib.render.names import UnitNames
from ritilib.sync.observe import Places
from ritilib.sync.seen.boxes import read_report

AT_ONCE = 50  # values in one transaction, which takes 64
SHOWN = 3  # boxes that are named where many wait
_WAITING = ("waits", "installed")  # ritilib.box.image: told, and not begun, or not restarted


@dataclass(frozen=True)
class Rolled:
    """What is known of the images after a look, for the commit that was looked at. told: boxes whose value was written;
    failed: boxes that stay with the image that they had, and why.

    until: so long this holds, and nobody need look again; due: when time alone makes something be done.
    """

    commit: str
    told: tuple[str, ...] = ()
    held: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    until: datetime | None = None
    due: datetime | None = None


def roll_images(
    desired: Desired,
    suspensions: Sequence[Suspension],
    consul: ConsulClient,
    now: datetime,
    go_on: Callable[[], bool],
    report: Callable[[str], None],
    before: Rolled | None = None,
) -> Rolled:
    """One look, and what follows. Where the fleet names no image, nobody is asked; before: the last look.

    One request where it is known of every box what became of its version, and one more for each 64 boxes of which it
    is not. Raises Conflict where another writes meanwhile, and as the client does: the next look goes on from there.
    """
    if before and before.commit == desired.commit and before.until and now < before.until:
        return replace(before, told=())
    looked = _look(desired, suspensions, consul, now)
    if not looked:
        return Rolled(desired.commit)
    turn, wished = looked.turn, looked.wished
    written = _write(desired.fleet, turn.puts, looked.told, looked.indexes, consul, go_on, report)
    is_whole = len(written) == len(turn.puts)
    until = min(filter(None, (now + LOOK, turn.due))) if is_whole else now
    due = turn.due if is_whole else now + LOOK
    failed = _describe_failed(turn, wished)
    return Rolled(
        desired.commit,
        written,
        tuple(_describe_held(turn, wished)),
        tuple(failed.values()),
        {key: one.what.removeprefix(f"{key} ") for key, one in failed.items()},
        until,
        due,
    )


@dataclass(frozen=True)
class ImagePlan:
    """Box → the image that it would be told now; why it has to wait; why it stays with the one that it had."""

    told: Mapping[str, str] = field(default_factory=dict)
    later: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def plan_images(
    desired: Desired, suspensions: Sequence[Suspension], consul: ConsulClient, now: datetime
) -> ImagePlan:
    """What roll_images would do now; nothing is written. Raises as the client does."""
    looked = _look(desired, suspensions, consul, now)
    if not looked:
        return ImagePlan()
    # what became of a version is noted beside it, which tells the box nothing
    told = {key: put.name for key, put in sorted(looked.turn.puts.items()) if not put.judged}
    return ImagePlan(told, dict(sorted(looked.turn.held.items())), dict(sorted(looked.turn.failed.items())))


@dataclass(frozen=True)
class _Looked:
    """told, indexes: as _read_told; wished: the units whose box is to run an image."""

    turn: ImageTurn
    wished: Mapping[str, Unit]
    told: Mapping[str, ImageValue]
    indexes: Mapping[str, int]


def _look(
    desired: Desired, suspensions: Sequence[Suspension], consul: ConsulClient, now: datetime
) -> _Looked | None:
    """None where the fleet names no image: nobody is asked."""
    wished = {unit.key: unit for unit in desired.units if unit.image}
    if not wished:
        return None
    told, indexes = _read_told(desired.fleet, consul)
    asked = [key for key, unit in wished.items() if unit.image and needs_word(told.get(key), unit.image)]
    said = _read_said(desired.fleet, asked, consul)
    subjects = [
        Subject(
            key,
            unit.image,
            unit.windows,
            unit.canary,
            told.get(key),
            said.get(key),
            _is_left(unit, suspensions, now),
        )
        for key, unit in wished.items()
        if unit.image
    ]
    return _Looked(find_image_turn(subjects, desired.rollout, now), wished, told, indexes)


def _read_told(fleet: str, consul: ConsulClient) -> tuple[dict[str, ImageValue], dict[str, int]]:
    """Box → what it is told, of those values that can be read; and each one's ModifyIndex."""
    prefix = Places(fleet).images
    told: dict[str, ImageValue] = {}
    indexes: dict[str, int] = {}

    def take(entry: Entry) -> None:
        key = entry.key.removeprefix(prefix)
        indexes[key] = entry.modify_index
        try:
            told[key] = read_image_value(entry.value)
        except GitopsError:
            return  # somebody else's doing: it is written anew, as if there were none

    consul.fold_tree(prefix, take)
    return told, indexes


def _read_said(fleet: str, keys: Iterable[str], consul: ConsulClient) -> dict[str, ImageSaid]:
    places = {UnitNames(fleet, *key.split("/")).box_report: key for key in keys}
    found: dict[str, ImageSaid] = {}
    if not places:
        return found
    for place, entry in consul.read_all(sorted(places)).items():
        try:
            report = read_report(entry.value)
        except ValidationError:
            continue
        if report.update and report.update.version:
            update = report.update
            found[places[place]] = ImageSaid(
                update.version,
                update.committed,
                report.link == "up",
                update.state in _WAITING,
                update.failed,
            )
    return found


def _is_left(unit: Unit, suspensions: Sequence[Suspension], now: datetime) -> bool:
    """Whether nothing new is to be applied to it now, as to its PBX (reconcile.pauses)."""
    rules = unit.sync
    if rules.suspended or find_suspension(unit.key, suspensions, now):
        return True
    return rules.windows is not None and not is_inside(rules.windows, now)


def _write(
    fleet: str,
    puts: Mapping[str, ImageValue],
    told: Mapping[str, ImageValue],
    indexes: Mapping[str, int],
    consul: ConsulClient,
    go_on: Callable[[], bool],
    report: Callable[[str], None],
) -> tuple[str, ...]:
    written: list[str] = []
    order = sorted(puts)
    for start in range(0, len(order), AT_ONCE):
        keys = order[start : start + AT_ONCE]
        if not go_on():
            break
        consul.write_all(
            [
                (UnitNames(fleet, *key.split("/")).box_image, puts[key].encode(), indexes.get(key, 0))
                for key in keys
            ]
        )
        written += keys
        for key in keys:
            report(f"{key}: {_say(puts[key], told.get(key))}")
    return tuple(written)


def _say(put: ImageValue, before: ImageValue | None) -> str:
    if put.judged == "bad":
        return f"its box went back from image {put.name}: {put.why}"
    if put.judged == "good":
        return f"its box runs image {put.name}"
    is_new = before is None or before.name != put.name
    return f"its box is to run image {put.name}" if is_new else f"its box gets image {put.name} otherwise now"


def _describe_held(turn: ImageTurn, wished: Mapping[str, Unit]) -> Iterable[Problem]:
    """Two lines for each version: of a thousand boxes most wait for the same."""
    for name in turn.turns:
        group = [key for key, unit in wished.items() if unit.image and unit.image.name == name]
        mend = "it goes on by itself; `riti status` shows how far each box is"
        if watched := [key for key in group if key in turn.watched]:
            some = ", ".join(watched[:SHOWN]) + (", …" if len(watched) > SHOWN else "")
            yield Problem("", 0, 0, f"image {name}: it is not known yet what comes of it at {some}", mend)
        keys = [key for key in group if key in turn.held]
        if keys:
            some = ", ".join(f"{key} ({turn.held[key]})" for key in keys[:SHOWN])
            more = ", …" if len(keys) > SHOWN else ""
            boxes = "1 box is" if len(keys) == 1 else f"{len(keys)} boxes are"
            what = f"image {name}: {boxes} not told yet: {some}{more}"
            yield Problem("", 0, 0, what, mend)


def _describe_failed(turn: ImageTurn, wished: Mapping[str, Unit]) -> dict[str, Problem]:
    found = {}
    for key, why in sorted(turn.failed.items()):
        image = wished[key].image
        assert image
        what = f"{key} keeps the image that it had: {image.name} failed there: {why}"
        mend = "merge another version, or one more `attempt` of it; this one is not tried again"
        found[key] = Problem("", 0, 0, what, mend)
    return found
