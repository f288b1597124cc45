"""What becomes of a unit that no manifest names: each lock alone holds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritilib.reconcile.prune import PURGE_AFTER, Census, Removals, count_limit, decide_removals
from ritilib.reconcile.state import FleetRecord, LiveJob, Observed, Record
from tests.unit.removing import FLEET_ID, GRACE, START, name

KEY = "acme/salto"
SINCE = (START - GRACE).isoformat()
MARK = {"riti.fleet": FLEET_ID, "riti.box": KEY}
CENSUS = Census("demo", FLEET_ID, "c2", frozenset({"acme/rivera"}), frozenset(), frozenset(), GRACE)
MARKED = Record("applied", "c1", job="hash", job_modify_index=7, absent_since=SINCE)
STOPPED = replace(MARKED, job_modify_index=9, stopped_at=(START - PURGE_AFTER).isoformat())
REST = {"acme/rivera": Record("applied", "c1")}
DUE = Observed(
    jobs={name(KEY).job_id: LiveJob(7, False, MARK)},
    records={KEY: MARKED, **REST},
    fleet=FleetRecord(FLEET_ID, "root", 40),
    live_index=40,
    live_keys=frozenset(),
    values=None,
    now=START,
)
OLD = replace(DUE, jobs={name(KEY).job_id: LiveJob(9, True, MARK)}, records={**DUE.records, KEY: STOPPED})


def change_record(**changed: Any) -> Observed:
    return replace(DUE, records={**DUE.records, KEY: replace(MARKED, **changed)})


def change_job(modify_index: int = 7, stopped: bool = False, **meta: str) -> Observed:
    mark = {**MARK, **{f"riti.{name}": value for name, value in meta.items()}}
    return replace(DUE, jobs={name(KEY).job_id: LiveJob(modify_index, stopped, mark)})


def add_records(*keys: str, record: Record = MARKED) -> Observed:
    return replace(DUE, records={**DUE.records, **dict.fromkeys(keys, record)})


def list_done(made: Removals) -> dict[str, list[str]]:
    """Decision → the keys that it is about, without those that decide nothing."""
    found = {
        "reset": [one.key for one in made.resets],
        "mark": [one.key for one in made.marks],
        "wait": [one.key for one in made.waits],
        "hold": [problem.what for problem in made.held],
        "stop": [one.key for one in made.stops],
        "purge": [one.key for one in made.purges],
        "conflict": [problem.what for problem in made.conflicts],
    }
    return {decision: keys for decision, keys in found.items() if keys}


def test_when_all_locks_are_open_it_is_stopped() -> None:
    assert list_done(decide_removals(CENSUS, DUE)) == {"stop": [KEY]}


def test_when_it_has_been_stopped_for_a_week_it_is_purged() -> None:
    assert list_done(decide_removals(CENSUS, OLD)) == {"purge": [KEY]}


ALONE: dict[str, tuple[Census, Observed, set[str]]] = {
    "it is in the manifest": (replace(CENSUS, keys=frozenset({KEY, "acme/rivera"})), DUE, {"reset"}),
    "its company's manifest is stale": (replace(CENSUS, stale=frozenset({"acme"})), DUE, {"reset"}),
    "the fleet's manifest is stale": (replace(CENSUS, doubts=("stale",)), DUE, {"wait"}),
    "something was not read": (CENSUS, replace(DUE, doubts=("lost",)), {"wait"}),
    "Consul shows an older state": (CENSUS, replace(DUE, rewound=True), {"reset", "wait"}),
    "it has no mark": (CENSUS, change_record(absent_since=""), {"mark", "wait"}),
    "its mark is no time": (CENSUS, change_record(absent_since="yesterday"), {"mark", "wait"}),
    "its mark has no zone": (CENSUS, change_record(absent_since="2026-11-22T00:00:00"), {"mark", "wait"}),
    "it is not in the inventory": (CENSUS, replace(DUE, records=REST), {"mark", "wait"}),
    "the grace period runs": (CENSUS, replace(DUE, now=START - timedelta(seconds=1)), {"wait"}),
    "the grace period is longer": (replace(CENSUS, grace=2 * GRACE), DUE, {"wait"}),
    "the clock went back": (
        CENSUS,
        replace(DUE, now=START - GRACE - timedelta(seconds=1)),
        {"reset", "wait"},
    ),
    "its job was changed by hand": (CENSUS, change_job(8), {"reset", "wait"}),
    "its job has no mark": (CENSUS, change_job(fleet="", box=""), {"conflict"}),
    "its job is another fleet's": (CENSUS, change_job(fleet="other"), {"conflict"}),
    "its job is another box's": (CENSUS, change_job(box="acme/artigas"), {"conflict"}),
    "its job is another company's": (CENSUS, change_job(box="acme-sur/salto"), {"conflict"}),
    "another goes with it": (CENSUS, add_records("acme/artigas"), {"hold"}),
    "another waits to go": (
        CENSUS,
        add_records("zorro/uno", record=replace(MARKED, absent_since="")),
        {"hold", "mark"},
    ),
    "another went just now": (
        CENSUS,
        add_records("zorro/uno", record=replace(STOPPED, stopped_at=(START - GRACE / 2).isoformat())),
        {"wait"},
    ),
    "only another was approved": (
        replace(CENSUS, approved=frozenset({"acme/artigas"})),
        add_records("acme/artigas", "zorro/uno"),
        {"hold", "stop"},
    ),
    "an approval of a name that begins alike": (
        replace(CENSUS, approved=frozenset({"acme-sur", "acm", "acme/sal", "acme/salto-2"})),
        add_records("acme/artigas"),
        {"hold"},
    ),
}


@pytest.mark.parametrize("lock", ALONE)
def test_each_lock_alone_holds_it(lock: str) -> None:
    census, observed, wanted = ALONE[lock]
    made = decide_removals(census, observed)
    done = list_done(made)
    assert set(done) == wanted, done
    assert KEY not in [one.key for one in (*made.stops, *made.purges)]


KEPT: dict[str, tuple[Census, Observed]] = {
    "it is in the manifest again": (replace(CENSUS, keys=frozenset({KEY})), OLD),
    "its company's manifest is stale": (replace(CENSUS, stale=frozenset({"acme"})), OLD),
    "something was not read": (CENSUS, replace(OLD, doubts=("lost",))),
    "Consul shows an older state": (CENSUS, replace(OLD, rewound=True)),
    "the week is not over": (CENSUS, replace(OLD, now=START - timedelta(seconds=1))),
    "the clock went back": (CENSUS, replace(OLD, now=START - timedelta(days=8))),
    "its job runs again": (CENSUS, replace(OLD, jobs={name(KEY).job_id: LiveJob(11, False, MARK)})),
    "its job was stopped by another": (
        CENSUS,
        replace(OLD, jobs={name(KEY).job_id: LiveJob(11, True, MARK)}),
    ),
    "its job is another's": (CENSUS, replace(OLD, jobs={name(KEY).job_id: LiveJob(9, True, {})})),
}


@pytest.mark.parametrize("lock", KEPT)
def test_each_lock_alone_keeps_what_was_stopped_from_being_purged(lock: str) -> None:
    census, observed = KEPT[lock]
    assert decide_removals(census, observed).purges == ()


def test_what_was_stopped_and_runs_again_has_a_grace_period_like_any_other() -> None:
    made = decide_removals(CENSUS, replace(OLD, jobs={name(KEY).job_id: LiveJob(11, False, MARK)}))
    [note] = made.resets
    assert (note.record.absent_since, note.record.stopped_at) == (START.isoformat(), "")
    assert note.record.job == "", "a job that a hand has changed is nobody's wish"
    assert made.stops == ()


def test_after_an_older_state_what_was_stopped_stays_stopped_and_its_week_begins_anew() -> None:
    [note] = decide_removals(CENSUS, replace(OLD, rewound=True)).resets
    assert (note.record.absent_since, note.record.stopped_at) == (START.isoformat(), START.isoformat())


@pytest.mark.parametrize("job", [None, LiveJob(8, True, MARK)], ids=["gone", "stopped by hand"])
def test_what_does_not_run_any_more_is_only_written_down(job: LiveJob | None) -> None:
    jobs = {name(KEY).job_id: job} if job else {}
    assert list_done(decide_removals(CENSUS, replace(DUE, jobs=jobs))) == {"stop": [KEY]}


def test_a_stop_whose_end_was_not_seen_is_ended() -> None:
    intent = replace(MARKED, stopped_at=START.isoformat())
    for job in (LiveJob(7, False, MARK), LiveJob(8, True, MARK)):
        observed = replace(DUE, jobs={name(KEY).job_id: job}, records={**DUE.records, KEY: intent})
        assert list_done(decide_removals(CENSUS, observed)) == {"stop": [KEY]}


def test_the_held_are_named_with_what_approves_them() -> None:
    observed = add_records("acme/artigas", "zorro/uno", "zorro/dos", "lighthouse/two")
    [problem] = decide_removals(CENSUS, observed).held
    assert "acme/artigas, acme/salto, lighthouse/two, zorro/dos, zorro/uno" in problem.what
    assert "5 units of 6" in problem.what and "at most 1" in problem.what
    assert "`removals: [acme/artigas, acme/salto, lighthouse/two, zorro]`" in problem.mend


def test_what_is_approved_in_git_goes_over_the_limit_and_not_before_its_time() -> None:
    census = replace(CENSUS, approved=frozenset({"zorro", "acme/salto"}))
    observed = add_records("zorro/uno", "zorro/dos")
    assert list_done(decide_removals(census, observed)) == {"stop": [KEY, "zorro/dos", "zorro/uno"]}
    early = replace(observed, now=START - timedelta(seconds=1))
    assert list_done(decide_removals(census, early)) == {"wait": [KEY, "zorro/dos", "zorro/uno"]}


def test_what_waits_for_the_limit_says_until_when() -> None:
    went = START - GRACE / 2
    observed = add_records("zorro/uno", record=replace(STOPPED, stopped_at=went.isoformat()))
    [waiting] = decide_removals(CENSUS, observed).waits
    assert (waiting.key, waiting.until) == (KEY, went + GRACE)


@pytest.mark.parametrize(
    ("job_id", "key", "conflicts"),
    [
        ("demo--acme--salto/periodic-1700000000", KEY, 0),
        ("demo--acme--salto/dispatch-1700000000-abc", KEY, 0),
        ("demo--acme--other", "acme/another", 1),
        ("demo--acme--other", "acme", 1),
        ("demo--acme--other", "acme/other/third", 1),
        ("demo--acme--other", "../x", 1),
        ("demo--anything", "", 1),
    ],
)
def test_a_job_that_carries_our_mark_under_another_name_is_never_touched(
    job_id: str, key: str, conflicts: int
) -> None:
    jobs = {job_id: LiveJob(3, False, {"riti.fleet": FLEET_ID, "riti.box": key})}
    made = decide_removals(CENSUS, replace(DUE, jobs=jobs, records=REST))
    assert (made.marks, made.stops, made.purges, len(made.conflicts)) == ((), (), (), conflicts)


def test_foreign_jobs_below_our_prefix_are_none_of_our_business() -> None:
    jobs = {
        "demo--acme--other": LiveJob(3, False, {}),
        "demo--acme--third": LiveJob(3, False, {"riti.fleet": "another fleet", "riti.box": "acme/third"}),
    }
    made = decide_removals(CENSUS, replace(DUE, jobs=jobs, records=REST))
    assert list_done(made) == {}


@pytest.mark.parametrize(
    "key", ["acme", "acme/salto/x", "Acme/salto", "acme/../x", "_fleet/x", "acme/salto\n"]
)
def test_an_inventory_entry_of_no_unit_is_reported(key: str) -> None:
    made = decide_removals(CENSUS, replace(DUE, jobs={}, records={key: MARKED}))
    assert set(list_done(made)) == {"conflict"}


@pytest.mark.parametrize(("boxes", "limit"), [(1, 1), (19, 1), (20, 2), (99, 9), (1000, 100)])
def test_the_limit_is_one_or_a_tenth(boxes: int, limit: int) -> None:
    records = {f"acme/b{number}": MARKED for number in range(boxes)}
    assert count_limit(replace(DUE, records=records), GRACE) == (limit, boxes)


def test_what_was_stopped_long_ago_makes_the_fleet_no_larger() -> None:
    records = {f"acme/b{number}": replace(MARKED, stopped_at=SINCE) for number in range(100)}
    assert count_limit(replace(DUE, records=records), GRACE) == (1, 0)


TIMES = st.sampled_from(["", SINCE, START.isoformat(), (START - 3 * GRACE).isoformat(), STOPPED.stopped_at])
UNITS = st.lists(
    st.tuples(TIMES, TIMES, st.sampled_from(["runs", "stopped", "gone"]), st.booleans()), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(units=UNITS, rest=st.integers(0, 40))
def test_of_whatever_is_marked_no_more_than_the_limit_goes_without_approval(
    units: list[tuple[str, str, str, bool]], rest: int
) -> None:
    records = {f"acme/r{number}": Record("applied", "c1") for number in range(rest)}
    jobs, approved, running = {}, set(), set()
    for number, (since, stopped, state, is_approved) in enumerate(units):
        key = f"zorro/b{number}"
        records[key] = replace(MARKED, absent_since=since, stopped_at=stopped)
        if state != "gone":
            mark = {"riti.fleet": FLEET_ID, "riti.box": key}
            jobs[name(key).job_id] = LiveJob(7, state == "stopped", mark)
        if state == "runs":
            running.add(key)
        if is_approved:
            approved.add(key)
    wished = frozenset(f"acme/r{number}" for number in range(rest))
    census = replace(CENSUS, keys=wished, approved=frozenset(approved))
    observed = replace(DUE, records=records, jobs=jobs)
    made = decide_removals(census, observed)
    limit, _ = count_limit(observed, GRACE)
    recent = [
        key
        for key, record in records.items()
        if record.stopped_at > (START - GRACE).isoformat() and key not in running
    ]
    free = [one.key for one in made.stops if one.key not in approved]
    assert len(free) <= max(0, limit - len(recent))
    assert not wished & {one.key for one in (*made.stops, *made.purges)}
    assert decide_removals(census, observed) == made
