"""The witness of the fault matrix finds what is planted, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from tests.faults.judging import (
    Allocation,
    Findings,
    Held,
    Notes,
    Seen,
    State,
    Thing,
    Version,
    find_cuts,
    find_deletions,
    find_lost,
)
from tests.faults.matrix import collect, write_table
from tests.faults.rows import ROWS

JOB, KEY, FOREIGN = "job demo--acme--salto", "key riti/demo/pbx/acme/salto/1", "job web"
ROLE, DOCUMENT = "consul role pbx-demo--acme--salto", "document demo/pbx/acme/salto"
OURS = {JOB, KEY, ROLE, DOCUMENT}
BEFORE = State(
    {place: Thing("7", "9", place) for place in (JOB, KEY, FOREIGN, ROLE, DOCUMENT)},
    {"a1": Allocation("demo--acme--salto", ("pbx 10:00",), True)},
)


def change(place: str, **said: object) -> State:
    things = dict(BEFORE.things)
    things[place] = replace(things[place], **said)  # type: ignore[arg-type]
    return replace(BEFORE, things=things)


def remove(place: str) -> State:
    return replace(BEFORE, things={name: one for name, one in BEFORE.things.items() if name != place})


def run(**said: object) -> State:
    return replace(BEFORE, allocations={"a1": replace(BEFORE.allocations["a1"], **said)})  # type: ignore[arg-type]


def test_nothing_is_found_where_nothing_happened() -> None:
    assert find_deletions(BEFORE, BEFORE, (), Notes()) == ()
    assert find_lost(BEFORE, BEFORE, (), OURS, Notes()) == ()
    assert find_cuts([Held("a1", "demo--acme--salto", ("pbx 10:00",))], BEFORE) == ()


@pytest.mark.parametrize("place", sorted(BEFORE.things))
def test_a_deletion_is_found(place: str) -> None:
    assert find_deletions(BEFORE, remove(place), (), Notes()) == (f"{place} is gone",)
    assert find_deletions(BEFORE, change(place, is_alive=False), (), Notes()) == (f"{place} is stopped",)
    again = find_deletions(BEFORE, change(place, made="12"), (), Notes())
    assert again == (f"{place} was deleted and made again",)


def test_what_was_gone_for_a_while_is_found() -> None:
    assert find_deletions(BEFORE, BEFORE, [Seen(JOB, "stopped")], Notes()) == (
        f"{JOB} was stopped meanwhile",
    )
    assert find_deletions(BEFORE, BEFORE, [Seen(JOB, "stopped")], Notes(hand={JOB: None})) == ()


def test_what_a_hand_or_a_commit_removed_is_no_finding() -> None:
    assert find_deletions(BEFORE, remove(JOB), (), Notes(hand={JOB: None})) == ()
    assert find_deletions(BEFORE, remove(JOB), [Seen(JOB, "gone")], Notes(going={JOB})) == ()
    # what another hand made is to stay
    made = {"job other": Thing("20", "20", "x")}
    assert find_deletions(BEFORE, BEFORE, (), Notes(hand=made)) == ("job other is gone",)


def test_an_allocation_that_ended_without_cause_is_found() -> None:
    [found] = find_deletions(BEFORE, run(is_running=False), (), Notes())
    assert "demo--acme--salto" in found
    assert find_deletions(BEFORE, run(started=("pbx 10:05",)), (), Notes()) == (found,)
    replaced = replace(change(JOB, content="another image"), allocations={})
    assert find_deletions(BEFORE, replaced, (), Notes()) == ()


def test_a_lost_update_is_found() -> None:
    written = change(FOREIGN, written="10")
    assert find_lost(BEFORE, written, (), OURS, Notes()) == (
        f"{FOREIGN} is not the controller's, and was written",
    )
    hand = {FOREIGN: written.things[FOREIGN]}
    assert find_lost(BEFORE, written, (), OURS, Notes(hand=hand)) == ()
    assert find_lost(BEFORE, change(FOREIGN, written="11"), (), OURS, Notes(hand=hand)) != ()
    # a job of ours whose mark a hand took away
    notes = Notes(hand={JOB: change(JOB, written="10").things[JOB]}, foreign={JOB})
    assert find_lost(BEFORE, change(JOB, written="10"), (), OURS, notes) == ()
    assert find_lost(BEFORE, change(JOB, written="11"), (), OURS, notes) != ()


def test_an_older_commit_over_a_newer_one_is_found() -> None:
    forward = [Version(KEY, (0, 1)), Version(KEY, (1, 2)), Version(KEY, (2,))]
    assert find_lost(BEFORE, BEFORE, forward, OURS, Notes()) == ()
    back = [*forward, Version(KEY, (0, 1))]
    assert find_lost(BEFORE, BEFORE, back, OURS, Notes()) == (f"{KEY} went back to an older commit",)
    assert find_lost(BEFORE, BEFORE, back, OURS, Notes(going_back={KEY})) == ()
    assert find_lost(BEFORE, BEFORE, [Version(KEY, ())], OURS, Notes()) == (
        f"{KEY} was written as no commit wishes it",
    )


def test_a_former_leader_that_writes_after_a_newer_one_is_found() -> None:
    writes = [Version(JOB, (1,), 4), Version(JOB, (1,), 5), Version(JOB, (1,), 4)]
    assert find_lost(BEFORE, BEFORE, writes[:2], OURS, Notes()) == ()
    assert find_lost(BEFORE, BEFORE, writes, OURS, Notes()) == (
        f"{JOB} was written by a former leader after a newer one",
    )


def test_a_cut_call_is_found() -> None:
    held = [Held("a1", "demo--acme--salto", ("pbx 10:00",))]
    assert find_cuts(held, run(is_running=False)) == (
        "demo--acme--salto had a call, and its allocation ended",
    )
    assert find_cuts(held, replace(BEFORE, allocations={})) != ()
    assert find_cuts(held, run(started=("pbx 10:05",))) == (
        "demo--acme--salto had a call, and its task was started again",
    )


def test_the_table_says_what_broke_and_counts() -> None:
    good, bad, unwatched = ROWS[:3]
    rows = collect(
        [
            ("passed", {"row": good}),
            ("", {"row": good, "findings": asdict(Findings())}),
            ("passed", {"row": bad}),
            ("failed", {"row": bad, "findings": asdict(Findings(("job a is gone",), (), ("b had a call",)))}),
            ("passed", {"row": unwatched}),
            ("passed", {}),
        ]
    )
    lines = list(write_table(rows))
    assert lines[0].startswith("held")
    assert lines[1].startswith("BROKEN") and "1 failed" in lines[1]
    assert "unintended deletion: job a is gone" in lines[2]
    assert lines[4].startswith("BROKEN")  # nobody watched
    assert lines[-2:] == [
        "unintended deletions: 1, lost updates: 0, calls cut: 1",
        f"over 3 rows of {len(ROWS)}, 1 held",
    ]


def test_an_instance_that_is_followed_may_end_with_its_call_and_no_sooner() -> None:
    job, held = "demo--acme--salto", [Held("a1", "demo--acme--salto", ("pbx 10:00",))]
    ending = run(is_running=False, is_ending=True)
    assert find_cuts(held, ending) != ()
    assert find_cuts(held, ending, {job}) == ()
    assert find_cuts(held, run(is_running=False), {job}) != ()
    assert find_cuts(held, run(is_running=False, is_ending=True, started=("pbx 10:01",)), {job}) != ()
    moving = Notes(moving={job})
    assert find_deletions(BEFORE, ending, (), moving) != (), "nobody follows it"
    follower = Allocation(job, ("pbx 11:00",), True)
    followed = replace(ending, allocations={**ending.allocations, "a2": follower})
    assert find_deletions(BEFORE, followed, (), moving) == ()
    assert find_deletions(BEFORE, followed, (), Notes()) != (), "the row did not say so"
