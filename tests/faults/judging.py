"""What a row did to what others own: judged of states of the servers, and of nothing that the controller says.

Pure functions of values; tests/unit/test_witness.py plants each kind of harm and sees it found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Thing:
    """One thing that a server holds: a job, a key, a role, a policy, a document.

    made: what another one of the same name would have otherwise (a CreateIndex, an id). written: what each write
    changes (an index, a version). content: a hash of what it says. is_alive: not stopped, not deleted.
    """

    made: str
    written: str
    content: str
    is_alive: bool = True


@dataclass(frozen=True)
class Allocation:
    """One instance of a job; started: when each of its tasks did."""

    job: str
    started: tuple[str, ...]
    is_running: bool
    is_ending: bool = False  # it was told to end, and goes on until its last call does


@dataclass(frozen=True)
class State:
    """What all servers hold: "job acme", "key riti/…", "consul role …", "vault policy …", "document …" → the thing."""

    things: Mapping[str, Thing]
    allocations: Mapping[str, Allocation] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """Something that was noticed while the row ran. what: "gone" or "stopped"; by: whose token it was, where known."""

    place: str
    what: str
    by: str = ""


@dataclass(frozen=True)
class Version:
    """One write of a thing as it was seen: the places in the history of the commits that wish for just this.

    An empty tuple: no commit does. epoch: of the leader whose token wrote it (None: not known).
    """

    place: str
    commits: tuple[int, ...]
    epoch: int | None = None


@dataclass(frozen=True)
class Held:
    """A call in a PBX: the allocation that had it, and when its tasks had started."""

    allocation: str
    job: str
    started: tuple[str, ...]


@dataclass(frozen=True)
class Notes:
    """What the row itself did and allows.

    hand: places that the test's own hand wrote → the thing right after it (None: the hand removed it). foreign: further
    places that are not the controller's. going: places whose removal a commit wishes, that was approved or is under
    the limit. going_back: places that may return to an older commit's content, since the newer one was bad.
    moving: jobs whose instance may end when it has no call, as another follows it: their host was lost to Nomad.
    """

    hand: Mapping[str, Thing | None] = field(default_factory=dict)
    foreign: Collection[str] = ()
    going: Collection[str] = ()
    going_back: Collection[str] = ()
    moving: Collection[str] = ()


@dataclass(frozen=True)
class Findings:
    """Each of the three must be empty."""

    deletions: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.deletions or self.lost or self.cuts)


def find_deletions(before: State, after: State, seen: Iterable[Seen], notes: Notes) -> tuple[str, ...]:
    """Everything that existed, was wished for or foreign, and went, for good or for a while."""
    excused = set(notes.going) | {place for place, thing in notes.hand.items() if thing is None}
    touched = set(notes.going) | set(notes.hand)
    found: list[str] = []
    known = {place: one for place, one in before.things.items() if one.is_alive}
    known |= {place: one for place, one in notes.hand.items() if one and one.is_alive}
    for place, one in sorted(known.items()):
        if place in excused:
            continue
        now = after.things.get(place)
        if now is None:
            found.append(f"{place} is gone")
        elif not now.is_alive:
            found.append(f"{place} is stopped")
        elif now.made != one.made:
            found.append(f"{place} was deleted and made again")
    found += [f"{one.place} was {one.what} meanwhile" for one in seen if one.place not in touched]
    for name, allocation in sorted(before.allocations.items()):
        place = f"job {allocation.job}"
        if not allocation.is_running or place in touched or not _is_same(place, before, after):
            continue
        if allocation.job in notes.moving and any(
            one.job == allocation.job and one.is_running for one in after.allocations.values()
        ):
            continue
        left = after.allocations.get(name)
        if left is None or not left.is_running or left.started != allocation.started:
            found.append(
                f"an allocation of {allocation.job} ended or was started again, and its job is the same"
            )
    return tuple(dict.fromkeys(found))


def _is_same(place: str, before: State, after: State) -> bool:
    was, now = before.things.get(place), after.things.get(place)
    return was is not None and now is not None and was.content == now.content


def find_lost(
    before: State, after: State, versions: Sequence[Version], is_ours: Collection[str], notes: Notes
) -> tuple[str, ...]:
    """Every write of another that was overwritten: in what is foreign, by an older commit, or by a former leader.

    is_ours: the places that the controller may write at all; versions in the order in which they were seen.
    """
    found: list[str] = []
    foreign = ((before.things.keys() | notes.hand.keys()) - set(is_ours)) | set(notes.foreign)
    for place in sorted(foreign):
        last = notes.hand.get(place, before.things.get(place))
        now = after.things.get(place)
        if last and now and (now.written, now.content) != (last.written, last.content):
            found.append(f"{place} is not the controller's, and was written")
    newest: dict[str, Version] = {}
    for one in versions:
        if one.place in foreign:
            continue
        former = newest.get(one.place)
        newest[one.place] = one
        if not one.commits:
            found.append(f"{one.place} was written as no commit wishes it")
            continue
        is_older = former and former.commits and one.commits[-1] < former.commits[0]
        if is_older and one.place not in notes.going_back:
            found.append(f"{one.place} went back to an older commit")
        if former and None not in (one.epoch, former.epoch) and one.epoch < former.epoch:  # type: ignore[operator]
            found.append(f"{one.place} was written by a former leader after a newer one")
    return tuple(dict.fromkeys(found))


def find_cuts(held: Iterable[Held], after: State, moving: Collection[str] = ()) -> tuple[str, ...]:
    """Every PBX that had a call and is not the very same running one any more.

    moving: jobs whose older instance is told to end, which it does with its last call only.
    """
    found: list[str] = []
    for one in held:
        now = after.allocations.get(one.allocation)
        if now is None or not (now.is_running or (now.is_ending and one.job in moving)):
            found.append(f"{one.job} had a call, and its allocation ended")
        elif now.started != one.started:
            found.append(f"{one.job} had a call, and its task was started again")
    return tuple(found)
