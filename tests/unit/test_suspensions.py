"""What `riti suspend` leaves in Consul: read back as it was written, and a suspension wherever it cannot be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.reconcile.suspensions import (
    Suspension,
    find_suspension,
    list_scopes,
    name_entry,
    read_suspension,
    write_command,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PLACE = "riti/demo/inventory/_suspended/"
GOOD = Suspension("acme", "the line is worked on", "ana@desk", NOW.isoformat())


def read(name: str, value: bytes) -> Suspension:
    return read_suspension(PLACE + name, name, value)


@pytest.mark.parametrize("scope", ["", "acme", "acme/salto", "lighthouse/one"])
def test_what_is_written_is_read_back(scope: str) -> None:
    until = (NOW + timedelta(hours=2)).isoformat()
    made = Suspension(scope, "el día de después", "ana@desk", NOW.isoformat(), until, "eva@desk", until)
    assert read(name_entry(scope), made.to_bytes()) == made


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"acme"',
        b"{}",
        b'{"why": "", "who": "ana", "since": ""}',
        b'{"why": "it", "who": "ana"}',
        b'{"why": "it", "who": "ana", "since": "", "until": "tomorrow"}',
        b'{"why": "it", "who": "ana", "since": "", "until": "2026-11-25T12:00:00"}',
        b'{"why": "it", "who": "ana", "since": "", "lifted_at": "yes"}',
        b'{"why": 1, "who": "ana", "since": ""}',
        b"\xff\xfe",
    ],
)
def test_an_entry_that_cannot_be_read_suspends_its_scope_and_is_seen(value: bytes) -> None:
    found = read("acme", value)
    assert (found.scope, found.is_in_force(NOW + timedelta(days=10_000))) == ("acme", True)
    assert found.fault and "acme counts as suspended" in found.fault.what
    assert "`riti resume acme`" in found.fault.mend


@pytest.mark.parametrize("name", ["", "acme/", "acme/salto/x", "Acme", "../acme", "_fleet/x", "a b", "-"])
def test_an_entry_of_no_scope_suspends_the_fleet(name: str) -> None:
    found = read(name, GOOD.to_bytes())
    assert (found.scope, found.is_in_force(NOW)) == ("", True)
    assert found.fault and "remove this key" in found.fault.mend and name in found.fault.what


@given(st.binary(max_size=200), st.text(max_size=30))
def test_no_entry_is_passed_over(value: bytes, name: str) -> None:
    found = read(name, value)
    assert found.fault is None or found.is_in_force(NOW)
    assert found.scope in ("", name)


@given(
    st.dictionaries(st.sampled_from(["why", "who", "since", "until", "lifted_by", "lifted_at"]), st.text())
)
def test_a_lifted_or_ended_one_says_so_in_a_time(said: dict[str, str]) -> None:
    found = read("acme", json.dumps(said).encode())
    if not found.is_in_force(NOW):
        assert found.fault is None and (found.lifted_at or found.until)


@pytest.mark.parametrize(
    ("until", "lifted_at", "in_force"),
    [
        ("", "", True),
        (NOW.isoformat(), "", False),
        ((NOW + timedelta(seconds=1)).isoformat(), "", True),
        ("2026-11-25T13:30:00+01:00", "", True),
        ("2026-11-25T12:59:00+01:00", "", False),
        ("", NOW.isoformat(), False),
        ((NOW + timedelta(days=1)).isoformat(), NOW.isoformat(), False),
    ],
)
def test_it_ends_by_itself_or_by_a_hand(until: str, lifted_at: str, in_force: bool) -> None:
    made = Suspension("acme", "it", "ana", NOW.isoformat(), until, "", lifted_at)
    assert read("acme", made.to_bytes()).is_in_force(NOW) is in_force


def test_the_widest_in_force_is_what_suspends() -> None:
    fleet, company, unit = (Suspension(scope, "it", "ana", "") for scope in list_scopes("acme/salto"))
    over = Suspension("", "it", "ana", "", NOW.isoformat())
    assert find_suspension("acme/salto", [unit, company, fleet], NOW) == fleet
    assert find_suspension("acme/salto", [unit, company, over], NOW) == company
    assert find_suspension("acme/rivera", [unit, over], NOW) is None
    assert find_suspension("acmee/salto", [unit, company], NOW) is None  # its name only begins alike


def test_the_command_that_lifts_it() -> None:
    assert [write_command("resume", scope) for scope in ("", "acme")] == ["riti resume", "riti resume acme"]
