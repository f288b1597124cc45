"""What is left alone, and what is written all the same: each cause of a change under each wish of the fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.errors import Problem
from ritilib.reconcile.pauses import find_rules, limit_change
from ritilib.reconcile.plan import Cause, Change, Why, make_change, make_plan
from ritilib.reconcile.state import FleetRecord
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
    write,
)

WEDNESDAYS = Windows.model_validate(
    {"timezone": "Africa/Abidjan", "stretches": [{"days": "wed", "from": "09:00", "to": "17:00"}]}
)
PARTS = ("secrets", "policies", "live", "job")
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
