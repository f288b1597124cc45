"""Who is held back is told once for each reason, and a crowd in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

from ritilib.errors import Problem
from ritilib.sync.chronicle import Chronicle
from ritilib.sync.held_lines import MOST_LINES, HeldLines
from ritilib.sync.journal import Journal
from ritilib.sync.pace import Memory
from ritilib.sync.synced import Synced
from ritilib.sync.web.board import Board
from ritilib.sync.web.metrics import Metrics

CALL, WAVE = "it has a call", "its wave comes after wave 1 of 3"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
QUIET = Synced("c1", (), (), (), 2, (), (), (), 7)


def say(key: str, why: str) -> Problem:
    return Problem("", 0, 0, f"{key} is held back: {why}", "sync again later")


def choose(lines: HeldLines, why: Mapping[str, str], *resting: str) -> list[str]:
    words = {key: say(key, reason) for key, reason in why.items()}
    return [one.what for one in lines.choose(why, words, set(resting))]


def test_reasons_by_turns_are_told_once_each() -> None:
    lines = HeldLines()
    for number in range(3):
        assert choose(lines, {"acme/a": CALL}) == ([f"acme/a is held back: {CALL}"] if number == 0 else [])
        assert choose(lines, {}, "acme/a") == []
        assert choose(lines, {"acme/a": WAVE}) == ([f"acme/a is held back: {WAVE}"] if number == 0 else [])


def test_who_waits_anew_is_told_anew() -> None:
    lines = HeldLines()
    assert choose(lines, {"acme/a": CALL}) != []
    assert choose(lines, {}) == []
    assert choose(lines, {"acme/a": CALL}) != []


def test_many_that_wait_for_the_same_are_one_line() -> None:
    lines, keys = HeldLines(), [f"acme/b{number:04}" for number in range(1000)]
    some = dict.fromkeys(keys[:MOST_LINES], WAVE)
    assert len(choose(lines, some)) == MOST_LINES
    [line, other] = choose(lines, {**dict.fromkeys(keys, WAVE), "acme/c": CALL})
    assert line == f"990 units are held back: {WAVE}: acme/b0010, acme/b0011, acme/b0012, …"
    assert other == f"acme/c is held back: {CALL}"
    assert choose(lines, {**dict.fromkeys(keys, WAVE), "acme/c": CALL}) == []


def test_the_journal_of_a_rollout_that_waits_for_calls_does_not_grow() -> None:
    stream = StringIO()
    chronicle = Chronicle(Journal(stream, "json"), Metrics(), Board())
    problem = Problem("", 0, 0, "acme is stale", "render")
    for number in range(20):
        why = {"acme/a": CALL if number % 2 else WAVE, "acme/b": WAVE if number % 2 else CALL}
        told = {key: (say(key, reason),) for key, reason in why.items()}
        done = replace(
            QUIET,
            held=(problem, *(one for (one,) in told.values())),
            held_back=why,
            told=told,
            busy=frozenset(key for key in why if why[key] == CALL),
        )
        chronicle.note_cycle(done, Memory(), 0.1, NOW)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    said = [one["what"] for one in lines if one["event"] == "held"]
    assert sorted(said) == sorted(
        ["acme is stale", *(say(key, why).what for key in ("acme/a", "acme/b") for why in (CALL, WAVE))]
    )
