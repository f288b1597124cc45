"""Maintenance windows: what the clocks show decides, also on the days on which they are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritilib.fleet.stretch import DAYS
from ritilib.fleet.timezones import list_timezones
from ritilib.reconcile.windows import find_next, is_inside
from ritilib.render.rules import Windows

MADRID = "Europe/Madrid"  # clocks: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00
MINUTE = timedelta(minutes=1)


def make_windows(timezone: str, *said: tuple[str, str, str]) -> Windows:
    stretches = [{"days": days, "from": first, "to": last} for days, first, last in said]
    return Windows.model_validate({"timezone": timezone, "stretches": stretches})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


SUNDAYS = make_windows(MADRID, ("sun", "02:00", "04:00"))


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-29T01:59:59+01:00", False),
        ("2026-11-29T02:00:00+01:00", True),
        ("2026-11-29T03:59:59.999999+01:00", True),
        ("2026-11-29T04:00:00+01:00", False),
        ("2026-11-28T22:30:00-03:00", True),  # the same moment from another zone: 02:30 in Madrid
        ("2026-11-30T03:00:00+01:00", False),
        ("2026-03-29T00:59:59+00:00", False),
        (
            "2026-03-29T01:00:00+00:00",
            True,
        ),  # the clocks show 03:00: the first hour of the window was skipped
        ("2026-10-25T00:30:00+00:00", True),  # 02:30, the first time
        ("2026-10-25T01:30:00+00:00", True),  # 02:30, the second time
    ],
)
def test_the_clocks_of_the_company_decide(moment: str, inside: bool) -> None:
    assert is_inside(SUNDAYS, at(moment)) is inside


def test_days_go_over_the_end_of_the_week() -> None:
    windows = make_windows(MADRID, ("sat-mon", "00:00", "24:00"))
    shown = [is_inside(windows, at(f"2026-11-{day}T12:00:00+00:00")) for day in range(23, 30)]
    assert shown == [True, False, False, False, False, True, True]  # Monday to Sunday


@pytest.mark.parametrize(
    ("windows", "moment", "begins"),
    [
        (SUNDAYS, "2026-11-24T12:00:00+00:00", "2026-11-29T01:00:00+00:00"),
        (SUNDAYS, "2026-11-29T01:00:00+00:00", "2026-12-06T01:00:00+00:00"),  # inside: the one after it
        (SUNDAYS, "2026-03-28T12:00:00+00:00", "2026-03-29T01:00:00+00:00"),  # at the change itself
        (SUNDAYS, "2026-10-24T12:00:00+00:00", "2026-10-25T00:00:00+00:00"),  # 02:00 the first time
        # half past two is skipped in spring: a week later
        (make_windows(MADRID, ("sun", "02:15", "02:45")), "2026-03-28T12:00:00+00:00", "2026-04-05T00:15:00+00:00"),
        # and comes twice in autumn
        (make_windows(MADRID, ("sun", "02:15", "02:45")), "2026-10-25T00:20:00+00:00", "2026-10-25T01:15:00+00:00"),
        # stretches that touch are one
        (
            make_windows(MADRID, ("sat", "23:00", "24:00"), ("sun", "00:00", "03:00")),
            "2026-11-28T22:30:00+00:00",
            "2026-12-05T22:00:00+00:00",
        ),
        # Samoa had no Friday 30 December 2011
        (
            make_windows("Pacific/Apia", ("fri", "01:00", "02:00")),
            "2011-12-29T00:00:00+00:00",
            "2012-01-05T11:00:00+00:00",
        ),
    ],
)  # fmt: skip
def test_the_next_window_is_found(windows: Windows, moment: str, begins: str) -> None:
    assert find_next(windows, at(moment)) == at(begins)


def test_a_window_of_the_whole_week_never_begins() -> None:
    windows = make_windows(MADRID, ("mon-sun", "00:00", "24:00"))
    assert is_inside(windows, at("2026-03-29T01:00:00+00:00"))
    assert find_next(windows, at("2026-03-20T12:00:00+00:00")) is None


def test_a_moment_without_a_zone_is_refused() -> None:
    for ask in (is_inside, find_next):
        with pytest.raises(ValueError, match="time zone"):
            ask(SUNDAYS, datetime(2026, 11, 29))


def test_every_zone_of_the_fleet_is_known_here() -> None:
    assert list_timezones() <= available_timezones()


clocks = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
days = st.one_of(st.sampled_from(DAYS), st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map("-".join))
stretches = st.tuples(days, clocks, st.one_of(clocks, st.just("24:00"))).filter(lambda one: one[1] < one[2])
# changes of the clocks in Madrid (an hour), Lord Howe (half an hour), Santiago (at midnight), Cairo, none in Montevideo
zones = st.sampled_from(
    [MADRID, "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "America/Montevideo"]
)
seasons = st.sampled_from(
    ["2026-03-27", "2026-04-03", "2026-04-23", "2026-09-04", "2026-10-02", "2026-10-23"]
)


@settings(max_examples=60, deadline=None)
@given(
    zone=zones,
    said=st.lists(stretches, min_size=1, max_size=3),
    season=seasons,
    seconds=st.integers(0, 3 * 86400),
)
def test_nothing_begins_between_now_and_what_is_found(
    zone: str, said: list[tuple[str, str, str]], season: str, seconds: int
) -> None:
    windows = make_windows(zone, *said)
    now = at(f"{season}T00:00:00+00:00") + timedelta(seconds=seconds)
    found = find_next(windows, now)
    # stretches and changes of the clocks begin at whole minutes: each is asked
    minute = now.replace(second=0) + MINUTE
    was = is_inside(windows, minute - timedelta(microseconds=1))
    for _ in range(10 * 24 * 60):
        inside = is_inside(windows, minute)
        if inside and not was:
            assert found == minute
            return
        was, minute = inside, minute + MINUTE
    assert found is None or found > minute - MINUTE


@given(said=st.lists(stretches, min_size=1, max_size=3), zone=zones, seconds=st.integers(0, 400 * 86400))
@settings(deadline=None)
def test_what_is_found_is_the_first_moment_of_a_window(
    said: list[tuple[str, str, str]], zone: str, seconds: int
) -> None:
    windows = make_windows(zone, *said)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    found = find_next(windows, now)
    if found is None:
        assert all(is_inside(windows, now + timedelta(minutes=minute)) for minute in range(7 * 24 * 60))
        return
    assert found > now
    assert is_inside(windows, found)
    assert not is_inside(windows, found - timedelta(microseconds=1))
