"""What the agent does next: every state of configuration, offer and watcher, and what must never happen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ritilib.box.decide import (
    ACKNOWLEDGED_WITHIN_S,
    Confirm,
    GoBack,
    Rest,
    Try,
    counts,
    decide,
    must_wait,
)
from ritilib.box.swap import Generation, Held, Refusal
from ritilib.box.word import SILENT, STALE_AFTER_S, Word, is_in_force, understand_word
from tests.unit.test_box_live import FILES
from tests.unit.test_box_swap import NEW, make

OLD_MADE, NEW_MADE = make(), make(NEW)
RESTARTED = make(FILES | {"etc/modules.conf": "[modules]\nload = app_dial.so\n"})


def keep(made: object) -> Generation:
    one = made
    assert isinstance(one, type(OLD_MADE))
    return Generation(
        one.identity, one.sha256, one.secrets_version, one.commit, one.acknowledged, one.start, "", ("usual",)
    )


OLD, NEWER = keep(OLD_MADE), keep(NEW_MADE)
GOOD = Held(OLD, OLD.identity)


def say(one: Generation, channels: int = 0, **more: object) -> Word:
    word = Word(True, channels, "up", one.acknowledged, one.secrets_version, {}, one.start)
    return replace(word, **more)  # type: ignore[arg-type]


def test_what_is_in_force_is_left_alone() -> None:
    assert decide(GOOD, OLD_MADE, say(OLD), 1e9) == Rest()
    assert decide(GOOD, None, say(OLD), 1e9) == Rest()
    assert decide(GOOD, None, SILENT, 1e9) == Rest()
    assert decide(Held(), None, SILENT, 0) == Rest()


def test_another_one_is_tried_with_the_complaints_of_the_running_one() -> None:
    assert decide(GOOD, NEW_MADE, say(OLD, channels=3), 0) == Try(NEW_MADE, ("usual",))


def test_the_first_one_is_tried_and_its_complaints_refuse_nothing() -> None:
    assert decide(Held(), NEW_MADE, SILENT, 0) == Try(NEW_MADE, None)


def test_a_refused_one_is_not_tried_again_until_another_comes() -> None:
    held = replace(GOOD, refused=Refusal(NEW_MADE.identity, "no", 1))
    assert isinstance(decide(held, NEW_MADE, say(OLD), 0), Rest)
    again = make(NEW, version=4)
    assert decide(held, again, say(OLD), 0) == Try(again, ("usual",))


def test_a_switch_is_confirmed_by_the_watcher_alone() -> None:
    held = Held(NEWER, OLD.identity)
    assert decide(held, NEW_MADE, say(NEWER), 0) == Confirm()
    for word in (
        SILENT,
        say(OLD),
        say(NEWER, problems={"iax.conf": "the peer cloud is not in force"}),
        say(NEWER, secrets_version=2),
        say(NEWER, started="another"),
        say(NEWER, acknowledged={}),
    ):
        assert not is_in_force(NEWER, word)
        assert isinstance(decide(held, NEW_MADE, word, 0), Rest)
        back = decide(held, NEW_MADE, word, ACKNOWLEDGED_WITHIN_S)
        assert isinstance(back, GoBack) and back.to == OLD.identity and back.why


def test_there_is_no_way_back_from_the_first_one_and_another_may_mend_it() -> None:
    held = Held(OLD)
    assert decide(held, OLD_MADE, SILENT, 1e9) == Rest("Asterisk does not answer its watcher")
    assert isinstance(decide(held, NEW_MADE, SILENT, 1e9), Try)


def test_asterisk_starts_anew_only_when_no_call_is_up() -> None:
    # it is tried at once, so that what is wrong with it is known
    assert isinstance(decide(GOOD, RESTARTED, say(OLD, channels=1), 0), Try)
    assert must_wait(OLD, RESTARTED, say(OLD, channels=1))
    assert not must_wait(OLD, RESTARTED, say(OLD))
    # it is dead or starts just now: there is no call
    assert not must_wait(OLD, RESTARTED, SILENT)
    assert not must_wait(None, RESTARTED, say(OLD, channels=1))
    assert not must_wait(OLD, NEW_MADE, say(OLD, channels=1))


def test_time_does_not_run_while_a_call_holds_up_the_start() -> None:
    held = Held(keep(RESTARTED), OLD.identity)
    assert not counts(held, say(OLD, channels=1))
    assert counts(held, say(OLD))
    assert counts(held, SILENT)
    assert counts(held, say(OLD, channels=1, problems={"iax.conf": "no"}))
    assert counts(Held(NEWER, OLD.identity), say(OLD, channels=1))


STATE = {
    "manager": "up",
    "status": "busy",
    "channels": 2,
    "link": "down",
    "peers": {"cloud": "unreachable"},
    "acknowledged": {"iax.conf": {"sha256": "aa", "secrets": 7}, "words.txt": {"sha256": "bb"}},
    "unacknowledged": {"extensions.conf": "it is not loaded yet"},
    "deaf": "100.80.0.2:4569",
    "freed_legs": 0,
    "started": "cc",
}


def test_the_watchers_state_is_understood() -> None:
    word = understand_word(json.dumps(STATE).encode(), 1.0)
    assert word.is_busy and word.channels == 2 and word.link == "down" and word.started == "cc"
    assert word.acknowledged == {"iax.conf": "aa", "words.txt": "bb"} and word.secrets_version == 7
    assert sorted(word.problems) == ["extensions.conf", "iax.conf"]


@pytest.mark.parametrize(
    ("said", "age_s"),
    [
        (None, 0.0),
        (b"", 0.0),
        (b"{}", 0.0),
        (json.dumps(STATE).encode()[:-20], 0.0),
        (json.dumps(STATE | {"manager": "down"}).encode(), 0.0),
        (json.dumps(STATE).encode(), STALE_AFTER_S + 1),
    ],
)
def test_a_state_that_says_nothing_is_silence(said: bytes | None, age_s: float) -> None:
    assert understand_word(said, age_s) == SILENT
