"""What is left alone, and what is written all the same: each cause of a change under each wish of the fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.errors import Problem
from ritilib.reconcile.pauses import describe_paused, find_rules, hold_paused, limit_change
from ritilib.reconcile.plan import Cause, Change, Plan, Why, make_change, make_plan
from ritilib.reconcile.state import FleetRecord, LiveJob, Observed, Record, Wish, hash_text
from ritilib.reconcile.suspensions import Suspension
from ritilib.render.names import UnitNames
from ritilib.render.upkeep import SyncRules, Windows

FLEET_ID = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
ANA = {"why": "it rains in", "who": "ana@desk", "since": "2026-11-25T11:00:00+00:00"}
# Abidjan has the same time as UTC, all the year
SUNDAYS = Windows.model_validate(
    {"timezone": "Africa/Abidjan", "stretches": [{"days": "sun", "from": "02:00", "to": "04:00"}]}
)
WEDNESDAYS = Windows.model_validate(
    {"timezone": "Africa/Abidjan", "stretches": [{"days": "wed", "from": "09:00", "to": "17:00"}]}
)
SUNDAY = datetime(2026, 11, 29, 2, tzinfo=UTC)
PLAIN = SyncRules()
PARTS = ("secrets", "policies", "live", "job")


def make_wish(key: str = "acme/salto", sync: SyncRules = PLAIN, image: str = "one") -> Wish:
    files = {
        "pbx/job.nomad.hcl": f'job "x" {{}} # {image}',
        "pbx/live/extensions.conf": f"[from-box]\n; {key}\n",
        "pbx/secrets.json": "{}",
        "box/secrets.json": "{}",
        "pbx/consul-policy.hcl": "",
        "pbx/vault-policy.hcl": "",
    }
    return Wish(UnitNames("demo", *key.split("/")), files, sync=sync)


def record(wish: Wish, **changed: object) -> Record:
    """The inventory's entry of a unit that is as wished, or was until these fields."""
    made = Record(
        state="applied",
        commit="c1",
        job=hash_text(wish.job),
        live=hash_text(wish.live_value(0)),
        secrets=hash_text(wish.secrets),
        policies=hash_text(wish.policies),
        value=hash_text(wish.live_value(3)),
        secrets_version=3,
        job_modify_index=7,
        renew_at=(NOW + timedelta(days=5)).isoformat(),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def plan(
    wish: Wish,
    entry: Record | None,
    suspensions: Sequence[Suspension] = (),
    rules: Mapping[str, SyncRules] | None = None,
    commit: str = "c2",
    change: str = "",
) -> Plan:
    """What is planned for one unit; change names what a hand did to it: "job", "stop", "purge", "value", "key"."""
    key = wish.names.key
    observed = observe_one(wish, entry, suspensions, change)
    held = {"": SyncRules(), key.split("/")[0]: SyncRules()} if rules is None else rules
    return hold_paused(make_plan([wish], FLEET_ID, observed), held, observed, commit)


def observe_one(
    wish: Wish, entry: Record | None, suspensions: Sequence[Suspension] = (), change: str = ""
) -> Observed:
    names = wish.names
    meta = {"riti.fleet": FLEET_ID, "riti.box": names.key}
    job = LiveJob(8 if change == "job" else 7, change == "stop", meta)
    return Observed(
        jobs={} if change == "purge" or entry is None else {names.job_id: job},
        records={names.key: entry} if entry else {},
        fleet=FleetRecord(FLEET_ID, "root", 40),
        live_index=40,
        live_keys=frozenset() if change == "key" or entry is None else frozenset({names.kv_key}),
        values={names.kv_key: "defaced"} if change == "value" else None,
        now=NOW,
        suspensions=tuple(suspensions),
    )


def write(made: Plan) -> str:
    """The parts that are written of the one unit."""
    if not made.changes:
        return ""
    (change,) = made.changes
    flags = {"secrets": change.secrets, "policies": change.policies, "live": change.live, "job": change.job}
    return " ".join(name for name, flag in flags.items() if flag)


def tell(made: Plan) -> list[Problem]:
    return describe_paused(made.paused)


DUE = {"renew_at": (NOW - timedelta(hours=1)).isoformat()}
# what is not as wished → (entry's fields, what a hand did); a field that differs is one that Git changed
CASES: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, ""),
    "git job": ({"job": "other"}, ""),
    "git live": ({"live": "other"}, ""),
    "git secrets": ({"secrets": "other"}, ""),
    "git policies": ({"policies": "other"}, ""),
    "hand job": ({}, "job"),
    "hand stop": ({}, "stop"),
    "hand purge": ({}, "purge"),
    "hand value": ({}, "value"),
    "hand key": ({}, "key"),
    "due": (DUE, ""),
    "due, git job": ({**DUE, "job": "other"}, ""),
    "due, git live": ({**DUE, "live": "other"}, ""),
    "due, hand job": (DUE, "job"),
    "due, hand value": (DUE, "value"),
    "git job, hand value": ({"job": "other"}, "value"),
    "git live, hand job": ({"live": "other"}, "job"),
    "git policies, hand value": ({"policies": "other"}, "value"),
    "git secrets, hand job": ({"secrets": "other"}, "job"),
    "git job, hand stop": ({"job": "other"}, "stop"),
    "unfinished": ({"state": "applying"}, ""),
    "unfinished, git job": ({"state": "applying", "job": "other"}, ""),
    "begun by this commit": ({"state": "applying", "job": "other", "commit": "c2"}, ""),
}
ALL = "secrets policies live job"
# case → what is written where it is suspended, outside its windows, where hands are let be
TABLE = {
    "nothing": ("", "", ""),
    "git job": ("", "", "job"),
    "git live": ("", "", "live"),
    "git secrets": ("", "", "secrets live"),
    "git policies": ("", "", "policies"),
    "hand job": ("", "job", ""),
    "hand stop": ("", "job", ""),
    "hand purge": ("", "job", ""),
    "hand value": ("", "live", ""),
    "hand key": ("", "live", ""),
    "due": ("secrets live", "secrets live", "secrets live"),
    "due, git job": ("secrets live", "secrets live", "secrets live job"),
    "due, git live": ("", "", "secrets live"),
    "due, hand job": ("secrets live", "secrets live job", "secrets live"),
    "due, hand value": ("", "secrets live", ""),
    "git job, hand value": ("", "live", "live job"),
    "git live, hand job": ("", "", "live"),
    "git policies, hand value": ("", "live", "policies"),
    "git secrets, hand job": ("", "job", "secrets live"),
    "git job, hand stop": ("", "job", ""),  # nothing runs that a change could disturb
    "unfinished": ("secrets policies live", ALL, "secrets policies live"),
    "unfinished, git job": ("", "", ALL),
    "begun by this commit": ("", ALL, ALL),
}
WAYS = (SyncRules(suspended="it rains in"), SyncRules(windows=SUNDAYS), SyncRules(self_heal=False))


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_all_the_same(case: str) -> None:
    fields, hand = CASES[case]
    for rules, expected in zip(WAYS, TABLE[case], strict=True):
        wish = make_wish(sync=rules)
        made = plan(wish, record(wish, **fields), change=hand)
        whole = write(plan(make_wish(), record(make_wish(), **fields), change=hand))
        assert write(made) == expected, (case, rules)
        assert bool(tell(made)) == (expected != whole), (case, rules)
        assert made.paused.units == ({"acme/salto"} if expected != whole else set())
        assert made.unchanged == (not whole)


def test_a_case_has_a_row() -> None:
    assert CASES.keys() == TABLE.keys()


@pytest.mark.parametrize("case", CASES)
def test_inside_its_windows_a_unit_is_as_any_other(case: str) -> None:
    fields, hand = CASES[case]
    wish = make_wish(sync=SyncRules(windows=WEDNESDAYS))
    made, plain = (plan(one, record(one, **fields), change=hand) for one in (wish, make_wish()))
    assert write(made) == write(plain)
    assert (tell(made), made.paused.due) == ([], None)


@pytest.mark.parametrize("case", CASES)
def test_where_hands_are_let_be_and_no_window_is_open_only_time_counts(case: str) -> None:
    fields, hand = CASES[case]
    wish = make_wish(sync=SyncRules(windows=SUNDAYS, self_heal=False))
    written = write(plan(wish, record(wish, **fields), change=hand))
    begun = ALL if case == "begun by this commit" else TABLE[case][0]
    assert written == begun


@pytest.mark.parametrize("case", CASES)
def test_the_command_suspends_as_git_does(case: str) -> None:
    fields, hand = CASES[case]
    for scope in ("", "acme", "acme/salto"):
        made = plan(make_wish(), record(make_wish(), **fields), [Suspension(scope, **ANA)], change=hand)
        assert write(made) == TABLE[case][0]


def test_a_new_unit_waits_for_its_window_and_not_for_hands() -> None:
    assert [write(plan(make_wish(sync=rules), None)) for rules in WAYS] == ["", "", ALL]


def test_what_is_written_in_part_says_so_and_only_its_reasons() -> None:
    wish = make_wish(sync=SyncRules(suspended="it rains in"))
    (change,) = plan(wish, record(wish, **DUE, job="other")).changes
    assert (change.reasons, change.is_partial) == (("certificate is due",), True)
    (whole,) = plan(wish, record(wish, **DUE)).changes
    assert not whole.is_partial


def test_a_suspension_that_is_over_or_elsewhere_holds_nothing() -> None:
    over = Suspension("acme", **ANA, until=NOW.isoformat())
    lifted = Suspension("", **ANA, lifted_at=NOW.isoformat())
    elsewhere = [Suspension("zorro", **ANA), Suspension("acme/rivera", **ANA), Suspension("sal", **ANA)]
    made = plan(make_wish(), record(make_wish(), job="other"), [over, lifted, *elsewhere])
    assert (write(made), made.paused.units) == ("job", set())


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


def test_an_entry_that_cannot_be_read_is_a_fault() -> None:
    fault = Problem("", 0, 0, "cannot be read", "look")
    made = plan(make_wish(), record(make_wish(), job="other"), [Suspension("acme", "?", "", "", fault=fault)])
    assert (write(made), made.paused.faults) == ("", (fault,))


def test_a_unit_left_in_the_middle_is_known_where_it_is_not_finished() -> None:
    wish = make_wish(sync=SyncRules(suspended="it rains in"))
    made = plan(wish, record(wish, state="applying", job="other"))
    assert [one.names.key for one in made.paused.unfinished] == ["acme/salto"]
    assert plan(wish, record(wish, state="applying")).paused.unfinished == ()


def test_the_values_that_are_left_as_a_hand_made_them_need_not_be_read_again() -> None:
    """The fleet's entry names them at the index at which they were read."""
    wish = make_wish(sync=SyncRules(self_heal=False))
    observed = observe_one(wish, record(wish))
    fleet = FleetRecord(FLEET_ID, "root", 40, ("acme/salto",))
    made = make_plan([wish], FLEET_ID, replace(observed, fleet=fleet))
    assert [why.reason for change in made.changes for why in change.whys] == [
        "drift: its value in Consul was changed"
    ]
    assert make_plan([wish], FLEET_ID, observed).is_empty


def test_what_no_manifest_names_follows_its_company_or_the_fleet() -> None:
    rain, sun = SyncRules(suspended="it rains in"), SyncRules()
    assert find_rules("acme/gone", {"": rain, "acme": sun}) is sun
    assert find_rules("gone/gone", {"": rain, "acme": sun}) is rain
    assert find_rules("lighthouse/one", {"": rain}) is rain
    assert find_rules("acme/gone", {}) == sun


whys = st.lists(
    st.builds(Why, st.sampled_from(PARTS), st.sampled_from(["git", "drift", "time"]), st.just("it")),
    min_size=1,
    unique_by=lambda why: why.part,
)


@given(whys, st.frozensets(st.sampled_from(["git", "drift", "time"])), st.booleans())
def test_a_limited_change_is_a_part_of_it(found: list[Why], causes: frozenset[Cause], is_drift: bool) -> None:
    found = [
        why
        for why in found
        # as make_plan makes them: only certificates are due, and only jobs and values are changed by hand
        if (why.cause != "time" or why.part == "secrets")
        and (why.cause != "drift" or why.part in ("live", "job"))
    ]
    if not found:
        return
    change = make_change(make_wish(), tuple(found), is_drift)
    kept = limit_change(change, causes)
    if kept is None:
        return
    assert set(kept.whys) <= set(change.whys)
    assert kept.is_partial == (kept != change)
    written = {why.part for why in kept.whys}
    left = {why.part for why in change.whys} - written
    # the dial plan never moves by the way: not by a renewal, and not by a job that is put back
    assert "live" not in left or not (kept.live or kept.job)
    brought = {why for why in kept.whys if why.cause not in causes}
    assert all(why.part == "live" for why in brought)
    if brought:
        assert any(why.cause == "git" and why.part in ("secrets", "job") for why in kept.whys)


def test_all_causes_change_nothing() -> None:
    change = Change(make_wish(), True, True, True, True, ("new",))
    assert limit_change(change, {"git", "drift", "time"}) is change
