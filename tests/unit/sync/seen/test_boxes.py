"""What boxes say of themselves, as `riti status` shows it: hostile words too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ritilib.enroll.binding import Binding, State
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.sync.seen.boxes import (
    BoxLook,
    describe_box_rows,
    list_box_rows,
    look_at_box,
    look_at_boxes,
    read_report,
)
from tests.fakes.consul import FakeConsul

A, B = "acme/a", "acme/b"
SAID = {
    "version": "1.0",
    "state": "in",
    "link": "up",
    "in_force": "ab" * 32,
    "commit": "c1",
    "confirmed": True,
}


def names(key: str) -> UnitNames:
    return UnitNames("demo", *key.split("/"))


def bind(consul: FakeConsul, key: str, state: State, **more: Any) -> None:
    consul.write(EnrollmentNames("demo").binding(key), Binding(state=state, **more).encode(), 0)


def tell(consul: FakeConsul, key: str, **more: Any) -> None:
    consul.write(names(key).box_report, json.dumps(SAID | more).encode(), 0)


def look(consul: FakeConsul, company: str | None = None) -> dict[str, BoxLook]:
    boxes, problems = look_at_boxes("demo", consul, company)
    assert problems == ()
    return {one.key: one for one in boxes}


def test_a_box_that_is_in_and_as_wished_is_well_and_shown_with_its_company_only() -> None:
    consul = FakeConsul()
    bind(consul, A, "bound")
    tell(consul, A)
    consul.write(names(A).box_kv_key, b"\x1f\x8b", 0)
    found = look(consul)
    assert (found[A].grade, found[A].why) == ("well", "")
    assert list(list_box_rows(tuple(found.values()), False)) == []
    assert list(list_box_rows(tuple(found.values()), True)) == [(A, "bound", "1.0", "up", "ab" * 6, "c1", "")]
    assert look_at_box(names(A), consul) == found[A]


def test_a_box_that_somebody_started_in_the_rescue_way_says_so_for_ever_and_is_well() -> None:
    consul = FakeConsul()
    bind(consul, A, "bound")
    tell(consul, A, rescued=2)
    found = look(consul)[A]
    assert (found.grade, found.why) == ("well", "somebody beside it started it in the rescue way, 2 times")


def test_those_that_wait_or_conflict_are_shown_with_their_reason() -> None:
    consul = FakeConsul()
    bind(consul, A, "waiting", why="no serial number in the fleet")
    bind(consul, B, "conflict", why="another key")
    found = look(consul)
    assert [one.grade for one in found.values()] == ["pending", "failed"]
    assert [row[1] for row in list_box_rows(tuple(found.values()), False)] == ["waiting", "conflicting"]
    assert [row[-1] for row in list_box_rows(tuple(found.values()), False)] == [
        "no serial number in the fleet",
        "another key",
    ]


@pytest.mark.parametrize("state", ["expected", "denied", "revoked"])
def test_an_office_that_has_no_box_yet_or_any_more_is_no_failure(state: State) -> None:
    consul = FakeConsul()
    bind(consul, A, state)
    assert look(consul)[A].grade == "well"


def test_what_a_box_refuses_is_a_failure_and_is_told_with_its_reason() -> None:
    consul = FakeConsul()
    bind(consul, A, "bound")
    refused = {"identity": "cd" * 16, "why": "does not boot", "at_s": 1764500000}
    tell(consul, A, refused=refused)
    bind(consul, B, "bound")
    tell(consul, B, why="waits for the end of a call")
    found = look(consul)
    assert (found[A].grade, found[B].grade) == ("failed", "pending")
    assert found[A].why == "refused cdcdcdcdcdcd at 2025-11-30T10:53:20+00:00: does not boot"
    assert found[A].describe()["report"]["refused"] == refused


def test_a_box_steers_no_terminal_and_breaks_no_row() -> None:
    words = "\x1b[2Jgone\n\u202eacme/b\tbound"
    report = read_report(json.dumps({"why": words, "version": words, "refused": {"why": words}}).encode())
    for text in (report.why, report.version, report.refused.why if report.refused else ""):
        assert text == " [2Jgone  acme/b bound"


def test_what_is_no_report_is_a_warning_and_hides_no_other() -> None:
    consul = FakeConsul()
    bind(consul, A, "bound")
    bind(consul, B, "bound")
    tell(consul, B)
    consul.write(names(A).box_report, b"{", 0)
    boxes, [problem] = look_at_boxes("demo", consul)
    assert problem.severity == "warning" and names(A).box_report in problem.what
    assert [one.report is None for one in boxes] == [True, False]
    assert look_at_box(names(A), consul).why == "what it says of itself cannot be read"


def test_a_company_is_looked_at_alone() -> None:
    consul = FakeConsul()
    for key in (A, "acme-two/a", "zorro/a"):
        bind(consul, key, "bound")
        tell(consul, key)
    assert list(look(consul, "acme")) == [A]
    assert list(look(consul)) == ["acme-two/a", A, "zorro/a"]


@pytest.mark.parametrize(
    ("state", "grade"), [("", "well"), ("waits", "pending"), ("installing", "pending"), ("failed", "failed")]
)
def test_how_far_a_box_is_with_another_image_is_told_with_its_reason(state: str, grade: str) -> None:
    consul = FakeConsul()
    bind(consul, A, "bound")
    update = {"version": "1.2.3", "slot": "A", "committed": True, "wished": "1.2.4", "state": state}
    tell(consul, A, update=update | {"why": "a call is up" if state else "", "failed": {"1.2.0": "no link"}})
    found = look(consul)[A]
    assert (found.grade, found.why) == (
        grade,
        f"image 1.2.4, from 1.2.3: {state} (a call is up)" if state else "",
    )
    rows = describe_box_rows(found)
    assert rows["box_slot"] == "A, committed" and rows["box_failed_images"] == "1.2.0"
    assert found.describe()["report"]["update"]["wished"] == "1.2.4"
