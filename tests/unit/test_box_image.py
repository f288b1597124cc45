"""Whether a box installs another version of its image, or starts it: never with a call, and never again what failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.box.image import (
    ASKED_AGAIN_S,
    MOST_FAILED,
    SHOWN_S,
    SILENT_S,
    STUCK_S,
    Asked,
    Installing,
    Memory,
    Running,
    Step,
    decide,
    find_hindrance,
    learn,
)
from ritilib.box.word import SILENT, Word
from ritilib.fleet.stretch import Stretch
from ritilib.reconcile.image_value import ImageValue
from ritilib.render.rules import Windows

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)  # Monday, 00:00 in Montevideo
NIGHT = Windows(
    timezone="America/Montevideo", stretches=(Stretch(**{"days": "mon", "from": "00:00", "to": "01:00"}),)
)
WISH = ImageValue(version="1.2.4", bundles="http://10.0.0.5/riti", told_at=NOW)
OLD = Running("1.2.3", "A", committed=True)
IDLE, BUSY = Word(True), Word(True, channels=2)
NOTHING_SAID, NOTHING_KNOWN, NOTHING_ASKED = Installing(), Memory(), Asked()
BUSY_NOW = "a call is up"


def step(
    running: Running = OLD,
    done: Installing = NOTHING_SAID,
    memory: Memory = NOTHING_KNOWN,
    asked: Asked = NOTHING_ASKED,
    hindrance: str = "",
    now_s: float = 1000.0,
    wish: ImageValue | None = WISH,
) -> Step:
    return decide(wish, running, done, memory, asked, hindrance, now_s, 0.5)


def test_the_whole_way() -> None:
    first = step()
    assert (first.act, first.progress.state, first.progress.wished) == ("install", "installing", "1.2.4")
    # root has not taken it up yet, then tells how far it is
    assert step(asked=first.asked).act == ""
    going = Installing("1.2.4", "installing", 40, stamp=1)
    shown = step(asked=first.asked, done=going).progress
    assert (shown.state, shown.percent) == ("installing", 40)
    over = Installing("1.2.4", "installed", stamp=2)
    assert step(asked=first.asked, done=over).progress.state == "installed"
    there = replace(OLD, installed="1.2.4")
    restart = step(there, over, asked=first.asked)
    assert (restart.act, restart.memory.trying) == ("restart", "1.2.4")
    assert step(there, over, restart.memory, restart.asked).progress.state == "restarting"
    # on its way down: root's record has forgotten what it tries, and nothing may be written into that slot now
    assert step(OLD, over, restart.memory, restart.asked).progress.state == "restarting"
    # another process, in the other slot
    trial = step(Running("1.2.4", "B", committed=False), memory=restart.memory)
    assert (trial.act, trial.progress.state) == ("", "trial")
    good = step(Running("1.2.4", "B", committed=True), memory=trial.memory)
    assert (good.act, good.progress.state, good.memory) == ("", "", Memory())


@pytest.mark.parametrize("running", [OLD, replace(OLD, installed="1.2.4")])
def test_nothing_is_asked_for_while_a_call_is_up(running: Running) -> None:
    found = step(running, hindrance=BUSY_NOW)
    assert (found.act, found.progress.why) == ("", BUSY_NOW)
    assert found.progress.state == ("installed" if running.installed else "waits")
    assert found.memory == Memory()
    assert step(running).act == ("restart" if running.installed else "install")


def test_a_restart_that_a_call_was_faster_than_is_asked_for_again() -> None:
    there = replace(OLD, installed="1.2.4")
    first = step(there)
    assert step(there, memory=first.memory, asked=first.asked, now_s=1000.0 + ASKED_AGAIN_S - 1).act == ""
    later = 1000.0 + ASKED_AGAIN_S
    assert (
        step(there, memory=first.memory, asked=first.asked, now_s=later, hindrance=BUSY_NOW).progress.state
        == "installed"
    )
    assert step(there, memory=first.memory, asked=first.asked, now_s=later).act == "restart"


def test_what_went_back_is_not_tried_again_but_another_attempt_is() -> None:
    back = replace(OLD, failed="1.2.4", failed_why="no telephone can register")
    found = step(back, memory=Memory(trying="1.2.4"))
    assert (found.act, found.progress.state) == ("", "failed")
    assert found.progress.failed == {"1.2.4": "no telephone can register"} == dict(found.memory.failed)
    again = step(back, memory=found.memory)
    assert again.act == "" and again.memory == found.memory
    second = WISH.model_copy(update={"attempt": 2})
    assert step(back, memory=found.memory, wish=second).act == "install"
    third = step(back, memory=replace(found.memory, trying="1.2.4, attempt 2"), wish=second)
    assert set(third.progress.failed) == {"1.2.4", "1.2.4, attempt 2"} and third.act == ""
    other = WISH.model_copy(update={"version": "1.2.5"})
    assert step(back, memory=found.memory, wish=other).act == "install"


def test_a_version_that_a_person_tried_by_hand_counts_too() -> None:
    assert learn(Memory(), replace(OLD, failed="1.2.4")).failed == {"1.2.4": "it went back by itself"}
    assert step(replace(OLD, failed="1.2.4")).act == ""


def test_only_the_last_that_failed_are_remembered() -> None:
    memory = Memory()
    for number in range(MOST_FAILED + 3):
        memory = learn(replace(memory, trying=f"1.0.{number}"), replace(OLD, failed=f"1.0.{number}"))
    assert len(memory.failed) == MOST_FAILED and f"1.0.{MOST_FAILED + 2}" in memory.failed


def test_what_rauc_never_takes_is_not_asked_for_again() -> None:
    first = step()
    refused = Installing("1.2.4", "failed", why="signature verification failed", final=True, stamp=5)
    found = step(asked=first.asked, done=refused)
    assert (found.progress.state, found.progress.why) == ("failed", "signature verification failed")
    assert step(asked=found.asked, done=refused, memory=found.memory, now_s=1e9).act == ""


def test_what_failed_for_now_is_asked_for_after_growing_pauses() -> None:
    asked, now_s, pauses = step().asked, 1000.0, []
    for stamp in range(1, 5):
        down = Installing("1.2.4", "failed", why="connection refused", stamp=stamp)
        found = step(asked=asked, done=down, now_s=now_s)
        assert found.act == "" and "is tried again: connection refused" in found.progress.why
        pauses.append(found.asked.not_before_s - now_s)
        assert step(asked=found.asked, done=down, now_s=found.asked.not_before_s - 1).act == ""
        now_s = found.asked.not_before_s
        again = step(asked=found.asked, done=down, now_s=now_s)
        assert again.act == "install"
        asked = again.asked
    assert pauses == sorted(pauses) and pauses[-1] > pauses[0]


def test_an_installation_that_does_not_move_is_asked_for_again() -> None:
    going = Installing("1.2.4", "installing", 40, stamp=1, age_s=STUCK_S - 1)
    assert step(done=going).act == ""
    assert step(done=replace(going, age_s=STUCK_S)).act == "install"
    first = step()
    assert step(asked=first.asked, now_s=1000.0 + STUCK_S).act == "install"
    shown = Installing("1.2.4", "installed", stamp=2, age_s=SHOWN_S)
    assert step(asked=first.asked, done=shown).act == "install"


def test_words_of_an_earlier_wish_do_not_count() -> None:
    before = Installing("1.2.2", "failed", why="signature", final=True, stamp=7)
    first = step(done=before)
    assert first.act == "install"
    assert step(done=before, asked=first.asked).progress.state == "installing"


def test_what_is_older_is_told_as_failed_without_a_look_at_it_and_not_remembered() -> None:
    for version in ("1.2.2", "1.1.9", "0.10.10"):
        found = step(wish=WISH.model_copy(update={"version": version}))
        assert (found.act, found.progress.state, found.memory) == ("", "failed", Memory())
        assert found.progress.failed == {version: "it is older than 1.2.3, which runs"}
    for version in ("1.2.10", "1.3.0", "1.2.3-rc.1"):
        assert step(wish=WISH.model_copy(update={"version": version})).act == "install"


def test_nothing_is_wished_or_it_runs_already() -> None:
    assert step(wish=None).progress.state == ""
    assert step(Running("1.2.4", "A", committed=True)).progress.state == ""


@pytest.mark.parametrize(
    ("word", "silent_s", "is_configured", "windows", "hours", "why"),
    [
        (IDLE, 0.0, True, None, 0, ""),
        (BUSY, 0.0, True, None, 0, "a call is up"),
        (BUSY, 0.0, True, NIGHT, 0, "a call is up"),
        (IDLE, 0.0, True, NIGHT, 0, ""),
        (IDLE, 0.0, True, NIGHT, 1, "it is outside its maintenance window"),
        (SILENT, SILENT_S - 1, True, None, 0, "Asterisk does not answer its watcher"),
        (SILENT, SILENT_S, True, None, 0, ""),
        (SILENT, 0.0, False, None, 0, ""),
    ],
)
def test_when_it_may_be(
    word: Word, silent_s: float, is_configured: bool, windows: Windows | None, hours: int, why: str
) -> None:
    wish = WISH.model_copy(update={"windows": windows})
    assert find_hindrance(word, is_configured, silent_s, wish, NOW + timedelta(hours=hours)) == why
