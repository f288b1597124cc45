"""A stretch of the week, such as a company's hours and a box's maintenance are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from ritilib.fleet.kinds import DAY, Frozen

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # in datetime.weekday's order


class Stretch(Frozen):
    """One stretch of a week, in the company's own time; `to` is the first minute after it."""

    days: Annotated[str, StringConstraints(pattern=f"^{DAY}(-{DAY})?$")]
    """A day or two with a dash, such as mon-fri."""
    from_: Annotated[str, Field(alias="from"), StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    """The first minute of the stretch, in quotes, such as "09:00"."""
    to: Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    """The first minute after the stretch, in quotes, such as "18:00"."""

    def list_weekdays(self) -> tuple[int, ...]:
        """Its days as datetime.weekday counts them, Monday 0; sat-mon goes over the end of the week."""
        first, _, last = self.days.partition("-")
        start = DAYS.index(first)
        count = (DAYS.index(last or first) - start) % len(DAYS) + 1
        return tuple((start + step) % len(DAYS) for step in range(count))
