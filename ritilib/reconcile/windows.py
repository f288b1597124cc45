"""Maintenance windows: whether a moment is inside, and when the next one begins. Pure functions of values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ritilib.render.rules import Windows

# A stretch recurs after a week; where a change of clocks swallows it whole (or a day: Samoa had no 30 December 2011),
# after another.
_HORIZON = timedelta(days=22)
_DAY_S = 24 * 60 * 60
_A_MOMENT = timedelta(microseconds=1)  # datetime's own grain


def is_inside(windows: Windows, at: datetime) -> bool:
    """Whether the clocks of the windows' time zone show, at that moment, a time in one of the stretches.

    So an hour that the clocks skip in spring is in no window, and one that they show twice in autumn is so both times.
    at is aware, in whichever zone; ValueError where it is not.
    """
    local = _require_aware(at).astimezone(ZoneInfo(windows.timezone))
    shown = f"{local:%H:%M}"
    return any(
        one.from_ <= shown < one.to and local.weekday() in one.list_weekdays() for one in windows.stretches
    )


def find_next(windows: Windows, at: datetime) -> datetime | None:
    """The first moment after `at`, in UTC, at which a window begins; stretches that touch are one window.

    Inside a window it is the beginning of the one after it; None where the windows are the whole week, which never
    begins. at is as in is_inside.
    """
    begins = (
        one
        for one in sorted(_list_candidates(windows, _require_aware(at).astimezone(UTC)))
        if one > at and is_inside(windows, one) and not is_inside(windows, one - _A_MOMENT)
    )
    return next(begins, None)


def _list_candidates(windows: Windows, at: datetime) -> Iterator[datetime]:
    """Moments of the horizon at which a window may begin: a stretch's first minute, or a change of the clocks."""
    zone = ZoneInfo(windows.timezone)
    first = at.astimezone(zone).date()
    for day in (first + timedelta(days=count) for count in range(-1, _HORIZON.days)):
        for stretch in windows.stretches:
            if day.weekday() in stretch.list_weekdays():
                yield from _list_moments(day, time.fromisoformat(stretch.from_), zone)
    second = at.replace(microsecond=0)
    for count in range(_HORIZON.days):
        yield from _find_change(second + timedelta(days=count), zone)


def _list_moments(day: date, clock: time, zone: ZoneInfo) -> Iterator[datetime]:
    """Both moments at which the clocks may show this: they differ only around a change."""
    local = datetime.combine(day, clock, zone)
    yield local.astimezone(UTC)
    yield local.replace(fold=1).astimezone(UTC)


def _find_change(start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The second, in the day after start (in UTC, a whole second), at which the clocks are changed; or nothing."""
    offset = start.astimezone(zone).utcoffset()

    def is_changed(seconds: int) -> bool:
        return (start + timedelta(seconds=seconds)).astimezone(zone).utcoffset() != offset

    if is_changed(_DAY_S):
        seconds = range(_DAY_S + 1)
        yield start + timedelta(seconds=bisect_left(seconds, True, key=is_changed))


def _require_aware(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError("a moment without its time zone says nothing about another zone's clocks")
    return at
