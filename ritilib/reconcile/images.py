"""Which boxes are told to run another image, in waves as PBXes are replaced. Pure functions of values.

A box does the rest by itself: it waits until it has no call, installs, tries the version once, and commits it or goes
back (docs/box-agent.md). So to tell it is all that the controller decides; and to stop telling others where it failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ritilib.fleet.fleet_file import Rollout
from ritilib.reconcile.image_value import ImageValue, write_image_value
from ritilib.reconcile.rollout import Member, Turn, find_turn
from ritilib.reconcile.windows import find_next, is_inside
from ritilib.render.rules import ImageRules, Windows

# So long a wave waits for a box that says nothing new: it is switched off, or has a line of 64 kbit/s. Then others have
# its place, and it does what it was told when it can.
PATIENCE = timedelta(hours=1)
LOOK = timedelta(minutes=1)  # boxes ask every few minutes, and take a few to start


@dataclass(frozen=True)
class ImageSaid:
    """What a box says of its image (ritilib.box.report); failed are the names of those that it went back from.

    waits: it was told, and has not begun, since it has a call or is outside its window.
    """

    version: str
    committed: bool = False
    link_up: bool = False
    waits: bool = False
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One box whose image the fleet names. told: what Consul says (None: nothing); said: what the box does (None: it
    never said that it has an image). is_left: nothing new may be told to it now."""

    key: str
    rules: ImageRules
    windows: Windows | None = None
    canary: bool = False
    told: ImageValue | None = None
    said: ImageSaid | None = None
    is_left: bool = False


@dataclass(frozen=True)
class ImageTurn:
    """puts: box → what Consul is to say. held: box → why it is not told yet; watched: told, and waited for; failed: box
    → why it stays what it was. turns: version → its rollout; due: when to look again (None: when all else is)."""

    puts: Mapping[str, ImageValue] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    watched: frozenset[str] = frozenset()
    turns: Mapping[str, Turn] = field(default_factory=dict)
    due: datetime | None = None


def needs_word(told: ImageValue | None, rules: ImageRules) -> bool:
    """Whether what the box says of itself decides anything: nothing does where it is known what became of it."""
    return told is None or told.name != rules.name or not told.judged


def find_image_turn(subjects: Sequence[Subject], rollout: Rollout, now: datetime) -> ImageTurn:
    """Each version has a rollout of its own, whichever commit named it: so another merge does not begin it anew."""
    puts: dict[str, ImageValue] = {}
    held: dict[str, str] = {}
    turns: dict[str, Turn] = {}
    moments: list[datetime] = []
    watched: set[str] = set()
    told = {one.key: _settle(one, now) for one in subjects}
    for one in subjects:
        settled = told[one.key]
        if settled and settled != one.told:
            puts[one.key] = settled
    for name in sorted({one.rules.name for one in subjects}):
        group = [one for one in subjects if one.rules.name == name]
        members = {one.key: member for one in group if (member := _find_member(one, told[one.key], now))}
        canaries = {one.key for one in group if one.canary}
        turn = find_turn(members.values(), canaries, rollout, f"image {name}", now)
        turns[name] = turn
        moments += [turn.until] if turn.until else []
        for one in group:
            if one.key not in members or _is_told(told[one.key], one.rules):
                continue
            if one.key not in turn.may:
                held[one.key] = _explain(turn)
            elif one.windows and not is_inside(one.windows, now):
                held[one.key] = "it waits for its maintenance window"
                opening = find_next(one.windows, now)
                moments += [opening] if opening else []
            else:
                had_link = one.said is not None and one.said.link_up
                puts[one.key] = write_image_value(one.rules, one.windows, now, had_link=had_link)
                watched.add(one.key)
        watched |= {member.key for member in members.values() if member.stage == "watched"}
        # for those that are away it is looked with the next cycle, whenever that is
        if any(one.stage in ("pending", "watched") and not one.busy for one in members.values()):
            moments.append(now + LOOK)
    failed = {
        one.key: value.why or "it went back"
        for one in subjects
        if (value := told[one.key]) and _is_told(value, one.rules) and value.judged == "bad"
    }
    due = min((one for one in moments if one > now), default=None)
    return ImageTurn(puts, held, failed, frozenset(watched), turns, due)


def _is_told(told: ImageValue | None, rules: ImageRules) -> bool:
    return told is not None and told.name == rules.name


def _settle(one: Subject, now: datetime) -> ImageValue | None:
    """What Consul is to say although no turn has come: what became of the version, and where it is had by now."""
    said, told = one.said, one.told
    runs = said is not None and said.version == one.rules.version and said.committed
    if told is None or not _is_told(told, one.rules):
        if runs:  # it was flashed with it, or a hand installed it: there is nothing to try
            return write_image_value(one.rules, one.windows, now, judged="good", judged_at=now)
        return told
    if not told.is_as(one.rules, one.windows):
        told = write_image_value(
            one.rules,
            one.windows,
            told.told_at,
            had_link=told.had_link,
            judged=told.judged,
            judged_at=told.judged_at,
            why=told.why,
        )
    if told.judged or said is None:
        return told
    if (why := said.failed.get(told.name)) is not None:
        return told.model_copy(update={"judged": "bad", "judged_at": now, "why": why})
    if runs and (said.link_up or not told.had_link):
        return told.model_copy(update={"judged": "good", "judged_at": now})
    return told


def _find_member(one: Subject, told: ImageValue | None, now: datetime) -> Member | None:
    """None: it takes no part, since it has no image that could be another, or nothing may be told to it."""
    if told is None or not _is_told(told, one.rules):
        return None if one.said is None or one.is_left else Member(one.key, "pending")
    if told.judged:
        return Member(one.key, told.judged, told.judged_at, begun=True)
    waits = (one.said is not None and one.said.waits) or now - told.told_at > PATIENCE
    # one that waits has no place any more, and holds nobody: else a canary that is switched off would stop them all
    return (
        Member(one.key, "pending", busy=True)
        if waits
        else Member(one.key, "watched", told.told_at, begun=True)
    )


def _explain(turn: Turn) -> str:
    if turn.stopped:
        return f"its rollout has stopped: {turn.stopped}"
    until = f", not before {turn.until:%H:%M} UTC" if turn.until else ""
    return f"its wave comes after wave {turn.wave} of {turn.waves}{until}"
