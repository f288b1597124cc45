"""What is said of all that waits: by whom, why, until when, and how it is lifted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.reconcile.pauses import hold_paused
from ritilib.reconcile.plan import make_plan
from ritilib.reconcile.state import LiveJob
from ritilib.reconcile.suspensions import Suspension
from ritilib.render.rules import SyncRules, Windows
from tests.unit.planning import (
    ANA,
    DUE,
    FLEET_ID,
    NOW,
    SUNDAYS,
    WAYS,
    make_wish,
    observe_one,
    plan,
    record,
    tell,
)


def test_it_is_said_by_whom_why_until_when_and_how_it_is_lifted() -> None:
    until = NOW + timedelta(hours=2)
    made = plan(
        make_wish(), record(make_wish(), job="other"), [Suspension("acme", **ANA, until=until.isoformat())]
    )
    (problem,) = tell(made)
    assert problem.what == (
        "acme is suspended until 2026-11-25 14:00 UTC by ana@desk since 2026-11-25T11:00:00+00:00 (it rains in), "
        "and 1 unit of it wait: acme/salto (job)"
    )
    assert problem.mend == "`riti resume acme` lifts it"
    assert made.paused.due == until


@pytest.mark.parametrize(
    ("scope", "file"),
    [
        ("", "fleet/fleet.yaml"),
        ("acme", "fleet/companies/acme.yaml"),
        ("acme/salto", "fleet/boxes/acme/salto.yaml"),
    ],
)
def test_what_git_suspends_names_the_file_to_edit(scope: str, file: str) -> None:
    rain, sun = SyncRules(suspended="it rains in"), SyncRules()
    rules = {"": rain if scope == "" else sun, "acme": rain if scope in ("", "acme") else sun}
    wish = make_wish(sync=rain)
    (problem,) = tell(plan(wish, record(wish, job="other"), rules=rules))
    assert f"take `sync.suspended` out of {file}" in problem.mend
    assert problem.what.startswith(f"{scope or 'the fleet'} is suspended (it rains in)")


def test_a_suspended_fleet_of_ten_thousand_is_one_line() -> None:
    wishes = [make_wish(f"c{number % 100}/b{number}", image="two") for number in range(10_000)]
    entry = record(make_wish())
    observed = replace(
        observe_one(wishes[0], None, [Suspension("", **ANA), Suspension("c1", **ANA)]),
        jobs={
            one.names.job_id: LiveJob(7, False, {"riti.fleet": FLEET_ID, "riti.box": one.names.key})
            for one in wishes
        },
        records={one.names.key: entry for one in wishes},
    )
    made = hold_paused(make_plan(wishes, FLEET_ID, observed), {}, observed, "c2")
    assert made.changes == ()
    (problem,) = tell(made)
    assert "and 10000 units of it wait: c0/b0 (" in problem.what and problem.what.endswith(", …")
    assert [(one.scope, one.covers, one.waits) for one in made.paused.pauses] == [
        ("", 10_000, 10_000),
        ("c1", 100, 0),
    ]


def test_what_waits_for_a_window_is_one_line_for_each_opening() -> None:
    early = Windows.model_validate(
        {"timezone": "Africa/Abidjan", "stretches": [{"days": "thu", "from": "02:00", "to": "04:00"}]}
    )
    wishes = [make_wish(f"acme/b{number}", SyncRules(windows=SUNDAYS), "two") for number in range(5)]
    wishes += [make_wish("acme/early", SyncRules(windows=early), "two")]
    observed = replace(observe_one(wishes[0], None), records={}, jobs={}, live_keys=frozenset(), values=None)
    made = hold_paused(make_plan(wishes, FLEET_ID, observed), {}, observed, "c2")
    first, second = tell(made)
    assert "1 unit of acme wait for a window of `sync.windows` until 2026-11-26 02:00 UTC" in first.what
    assert "5 units of acme wait for a window of `sync.windows` until 2026-11-29 02:00 UTC" in second.what
    assert made.paused.due == datetime(2026, 11, 26, 2, tzinfo=UTC)


def test_what_a_hand_broke_is_named_first() -> None:
    names = ["acme/a", "acme/b", "acme/c", "acme/z"]
    wishes = [make_wish(name, image="two") for name in names]
    entries = {one.names.key: record(make_wish(one.names.key)) for one in wishes}
    observed = replace(
        observe_one(wishes[0], None, [Suspension("acme", **ANA)]),
        records=entries,
        live_keys=frozenset(one.names.kv_key for one in wishes),
        jobs={
            one.names.job_id: LiveJob(7, False, {"riti.fleet": FLEET_ID, "riti.box": one.names.key})
            for one in wishes[:3]
        },
    )
    (problem,) = tell(hold_paused(make_plan(wishes, FLEET_ID, observed), {}, observed, "c2"))
    assert "wait: acme/z (drift: its job is gone), acme/a (job)" in problem.what


def test_a_suspension_of_nobody_is_said() -> None:
    made = plan(make_wish(), record(make_wish()), [Suspension("acmee", **ANA)])
    (problem,) = tell(made)
    assert "acmee is suspended, and no unit is called so" in problem.what
    assert problem.mend == "`riti resume acmee`"


def test_a_suspension_for_which_nothing_waits_is_known_and_nobodys_problem() -> None:
    made = plan(make_wish(), record(make_wish()), [Suspension("acme", **ANA)])
    assert (tell(made), [one.covers for one in made.paused.pauses]) == ([], [1])


@pytest.mark.parametrize("rules", WAYS)
def test_a_certificate_that_cannot_be_renewed_is_a_warning_from_that_moment(rules: SyncRules) -> None:
    wish = make_wish(sync=rules)
    hand = "" if rules.self_heal else "value"
    fields = {"live": "other"} if rules.self_heal else {}
    warned = [
        one for one in tell(plan(wish, record(wish, **fields, **DUE), change=hand)) if "overlay" in one.what
    ]
    assert [one.severity for one in warned] == ["warning"]
    assert "acme/salto" in warned[0].what and "before 2026-12-15" in warned[0].mend
    early = plan(wish, record(wish, **fields), change=hand)
    assert [one.severity for one in tell(early)] == ["error"]
