"""Whose turn it is to be replaced: wave after wave, and no further where one has failed. A pure function of values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from ritilib.fleet.fleet_file import Rollout
from ritilib.reconcile.waves import make_waves

# After the canaries single boxes may fail for reasons of their own (a host without room): 10 of 1,000 stop nobody.
FAILED_SHARE = 0.05

Stage = Literal["pending", "watched", "good", "bad"]


@dataclass(frozen=True)
class Member:
    """One box of a rollout.

    pending: its task is still the old one; watched: replaced, and not judged yet; good, bad: judged, at `since`. A bad
    one has gone back to what it was. busy: it was found with calls, so that it waits. begun: this very change has
    replaced it (a bad one may also be refused since an earlier change).
    """

    key: str
    stage: Stage
    since: datetime | None = None
    busy: bool = False
    begun: bool = False


@dataclass(frozen=True)
class Turn:
    """may: boxes that may be replaced now, where they have no call. wave: of `waves`, from 1; 0 where none is left.

    until: when the next wave begins, where only the time is missing. stopped: why nothing more is replaced, "" where
    more is.
    """

    may: frozenset[str] = frozenset()
    wave: int = 0
    waves: int = 0
    until: datetime | None = None
    stopped: str = ""


def find_turn(
    members: Collection[Member], canaries: Set[str], rollout: Rollout, change: str, now: datetime
) -> Turn:
    """Whose turn it is (DESIGN, rule 9).

    members are all boxes that the commit `change` replaces: those that wait, and those that it has replaced. A wave is
    through when none of it is watched, at least one is good, and only busy ones are left, for which the others do not
    wait; the next begins when the rollout's pause has passed since its last was judged. A bad canary ends the rollout,
    and so do more than FAILED_SHARE of those judged.
    """
    by_key = {member.key: member for member in members}
    waves = [[by_key[key] for key in wave] for wave in order_waves(members, canaries, rollout, change)]
    if not waves:
        return Turn()
    if failed := _find_failed(waves):
        names = ", ".join(sorted(failed))
        return Turn(waves=len(waves), stopped=f"{names} did not come up with it, and went back")
    may: set[str] = set()
    for count, wave in enumerate(waves, 1):
        may |= {member.key for member in wave if member.stage == "pending"}
        if not _is_through(wave):
            return Turn(frozenset(may), count, len(waves))
        judged = [member.since for member in wave if member.since]
        begins = max(judged) + timedelta(minutes=rollout.pause_min) if judged else now
        if now < begins and count < len(waves):
            return Turn(frozenset(may), count, len(waves), until=begins)
    return Turn(frozenset(may), len(waves), len(waves))


def order_waves(
    members: Iterable[Member], canaries: Set[str], rollout: Rollout, change: str
) -> tuple[tuple[str, ...], ...]:
    """The keys of each wave, from what each member has been through (make_waves)."""
    members = list(members)
    last = datetime.max.replace(tzinfo=UTC)
    begun = sorted((one.since or last, one.key) for one in members if one.begun)
    busy = {one.key for one in members if one.busy}
    keys = [one.key for one in members]
    return make_waves(keys, canaries, rollout, change, [key for _, key in begun], busy)


def _find_failed(waves: Iterable[Iterable[Member]]) -> list[str]:
    """The boxes for which the rollout stops; [] where it goes on."""
    canaries, *others = waves
    if failed := [member.key for member in canaries if member.stage == "bad"]:
        return failed
    judged = [member for wave in others for member in wave if member.stage in ("good", "bad")]
    failed = [member.key for member in judged if member.stage == "bad"]
    return failed if len(failed) > max(1, FAILED_SHARE * len(judged)) else []


def _is_through(wave: Collection[Member]) -> bool:
    if any(member.stage == "watched" or (member.stage == "pending" and not member.busy) for member in wave):
        return False
    return any(member.stage in ("good", "bad") for member in wave)
