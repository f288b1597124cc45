"""What a box shows: by each state one code that a person can tell from every other."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from onbox import lamp
from onbox.health import BOUND_S, Health, find_lacks, judge
from onbox.lamp import Seen, Shown, decide, list_notes
from onbox.page import write_page
from ritilib.box.showing import State

GOOD = Seen(agent={"state": "in", "link": "up"})
ALL = [one for one in vars(lamp).values() if isinstance(one, Shown)]


def test_codes_are_told_apart_by_counting() -> None:
    # one blink is a box that is at work, by itself; whoever counts it has nothing to do but to wait
    counted = [one.blinks for one in ALL if one.mend != lamp.STARTING.mend]
    assert len(set(counted)) == len(counted) and 1 not in counted
    assert len({one.code for one in ALL}) == len(ALL)
    for one in ALL:
        lit = [milliseconds for is_on, milliseconds in one.pattern if is_on]
        dark = [milliseconds for is_on, milliseconds in one.pattern if not is_on]
        assert (len(lit), len(dark)) == ((one.blinks, one.blinks) if one.blinks else (1, 0))
        assert not dark or (dark[-1] >= 4 * max([lamp.ON_MS, *dark[:-1]]) and dark[-1] == lamp.DARK_MS)


def test_every_one_says_what_is_to_be_done_in_sentences() -> None:
    for one in ALL:
        assert one.words.endswith(".") and one.mend.endswith(".") and "error" not in one.words.lower()


@pytest.mark.parametrize("state", get_args(State))
def test_each_state_of_an_enrollment_is_shown(state: State) -> None:
    shown = decide(replace(GOOD, agent={"state": state, "link": "up"}))
    assert shown.code != "fine" or state == "in"
    expected = {
        "waiting": "waiting",
        "no-answer": "no-gateway",
        "denied": "card",
        "expired": "card",
        "used": "locked",
        "copied": "locked",
        "trouble": "trouble",
    }
    assert shown.code == expected.get(state, shown.code)
    assert shown.code != "trouble" or state == "trouble"


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (GOOD, "fine"),
        (Seen(), "starting"),
        (replace(GOOD, agent={"state": "in", "link": "down"}), "link"),
        (replace(GOOD, agent={"state": "in", "link": "unknown"}), "starting"),
        (replace(GOOD, agent={"state": "in", "link": "unknown"}, silent_s=lamp.PATIENCE_S), "trouble"),
        (replace(GOOD, agent={"state": "in", "why": "a value is refused"}), "trouble"),
        (replace(GOOD, carrier=False, address=False), "no-cable"),
        (replace(GOOD, address=False), "no-address"),
        (replace(GOOD, card=False, carrier=False), "card"),
        (replace(GOOD, data=False, card=False), "trouble"),
        (replace(GOOD, is_tried=True), "tried"),
        (replace(GOOD, is_tried=True, carrier=False), "no-cable"),
        (replace(GOOD, rescue=True, data=False), "rescue"),
        # no cable mends a card that is not accepted
        (replace(GOOD, carrier=False, agent={"state": "denied"}), "card"),
    ],
)
def test_the_cause_comes_before_what_follows_from_it(seen: Seen, code: str) -> None:
    assert decide(seen).code == code


def test_what_happened_once_stays_to_be_read() -> None:
    notes = list_notes(replace(GOOD, rescued=2, went_back=True))
    assert len(notes) == 2 and "2 times" in notes[1] and "went back" in notes[0]
    assert decide(replace(GOOD, rescued=2, went_back=True)).code == "fine" and list_notes(GOOD) == []


def test_the_page_takes_nothing_for_markup() -> None:
    page = write_page({"words": "<script>", "notes": ["<b>"], "blinks": 3, "code": "x", "link": '"<'})
    assert "<script>" not in page and "<b>" not in page.replace("<p><b>", "") and "blinks 3 times" in page
    assert "The box is starting." in write_page({}) and "steadily on" in write_page({})


WELL = Health(started=True, root_verified=True, data=True, agent=True, state="in", link="up")


def test_a_slot_is_committed_once_it_reaches_what_the_one_before_did() -> None:
    wanted = WELL.reach()
    assert judge(find_lacks(WELL, wanted), 1) == "commit"
    for lacking in (
        replace(WELL, started=False),
        replace(WELL, root_verified=False),
        replace(WELL, data=False),
        replace(WELL, failed=("chrony.service",)),
        replace(WELL, agent=False),
        replace(WELL, state="trouble"),
        replace(WELL, link="down"),
    ):
        lacks = find_lacks(lacking, wanted)
        assert len(lacks) == 1
        assert (judge(lacks, BOUND_S - 1), judge(lacks, BOUND_S)) == ("wait", "back")


def test_an_office_without_a_line_gets_its_updates_too() -> None:
    offline = replace(WELL, state="no-answer", link="down", failed=("chrony.service",))
    assert find_lacks(offline, offline.reach()) == []
    # what nobody wrote down before the restart (a cut, a damaged record) is not asked for
    assert find_lacks(offline, {}) and find_lacks(replace(offline, failed=()), {}) == []
