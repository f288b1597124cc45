"""The controller's log: lines that programs read, words that people read, and no secret in either."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.errors import FleetError, Problem, RitiError
from ritilib.sync import journal as journal_module
from ritilib.sync.journal import HIDDEN, SHORTEST_HIDDEN, Journal

AT = datetime(2026, 11, 24, 23, 59, 7, 250_000, tzinfo=UTC)
TOKEN = "8f2c9a11-token"


def write(style, *secrets: str, least="info") -> tuple[Journal, io.StringIO]:
    stream = io.StringIO()
    return Journal(stream, style, secrets, least, lambda: AT), stream


def test_a_line_is_one_json_object_with_utc_level_and_event() -> None:
    journal, stream = write("json")
    journal.note("info", "unit-applied", box="acme/montevideo", commit="1" * 40, seconds=1.5, mend=None)
    journal.note("warning", "held", box="ñandú\nrivera", waves=("canaries", 2), calls={"acme": 1}, idle=False)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {
        "time": "2026-11-24T23:59:07.250Z",
        "level": "info",
        "event": "unit-applied",
        "box": "acme/montevideo",
        "commit": "1" * 40,
        "seconds": 1.5,
    }
    assert second["box"] == "ñandú\nrivera" and second["waves"] == ["canaries", 2] and second["idle"] is False
    assert second["calls"] == {"acme": 1}


def test_plain_lines_are_for_reading_and_hold_no_control_character() -> None:
    journal, stream = write("plain")
    journal.note("warning", "held", box="acme/salto", why="a call\x1b[2J", calls=["a b", 2], nothing="")
    assert stream.getvalue() == (
        '23:59:07 warning held box=acme/salto why="a call\\\\x1b[2J" calls=["a b", 2] nothing=""\n'
    )


def test_levels_below_the_least_are_left_out() -> None:
    journal, stream = write("json", least="warning")
    for level in ("debug", "info", "warning", "error"):
        journal.note(level, "x")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == ["warning", "error"]


def test_each_problem_is_a_line_with_its_place_and_mend() -> None:
    journal, stream = write("json")
    problems = [
        Problem("fleet/x.yaml", 3, 1, "is wrong", "mend it", "number-twice"),
        Problem("", 0, 0, "no net", ""),
    ]
    journal.note_problems("read-failed", FleetError(problems), commit="abc")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["file"], first["line"], first["rule"], first["mend"]) == (
        "fleet/x.yaml",
        3,
        "number-twice",
        "mend it",
    )
    assert first["kind"] == "FleetError" and first["commit"] == second["commit"] == "abc"
    assert second["what"] == "no net" and "file" not in second and "mend" not in second


@dataclass
class Holder:
    """Something that shows its secret when it is printed."""

    token: str = TOKEN


def test_of_many_secrets_the_last_ones_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that were renewed for years: the dead ones are forgotten, one that is told again is not."""
    monkeypatch.setattr(journal_module, "MOST_HIDDEN", 3)
    journal, stream = write("json")
    for token in ("the-hook-1", "token-one", "token-two", "the-hook-1", "token-three", "token-four"):
        journal.hide([token])
    journal.note("info", "x", said="the-hook-1 token-one token-two token-three token-four")
    assert json.loads(stream.getvalue())["said"] == f"{HIDDEN} token-one token-two {HIDDEN} {HIDDEN}"


@pytest.mark.parametrize("style", ["json", "plain"])
def test_a_secret_that_is_known_is_shown_nowhere(style) -> None:
    journal, stream = write(style, TOKEN)
    journal.note(
        "info", f"event {TOKEN}", box=f"x{TOKEN}y", deep={"a": [TOKEN, {TOKEN: (TOKEN,)}]}, thing=Holder()
    )
    journal.note_problems(
        "failed", RitiError.because(f"denied {TOKEN}", f"take {TOKEN}"), address=f"http://{TOKEN}@h/"
    )
    journal.hide(["renewed-token-1"])
    journal.note(
        "info", "x", said="now renewed-token-1 counts", url="https://ana:hunter2@forge.example/f.git"
    )
    said = stream.getvalue()
    assert TOKEN not in said and "renewed-token-1" not in said and "hunter2" not in said and HIDDEN in said


@pytest.mark.parametrize(
    "name", ["token", "NOMAD_TOKEN", "secret_id", "Authorization", "private_key", "password"]
)
def test_a_field_that_is_called_a_secret_is_hidden_whatever_it_holds(name: str) -> None:
    journal, stream = write("json")
    journal.note("info", "x", **{name: "unknown-to-us", "headers": {name: ["unknown-to-us"]}})
    assert "unknown-to-us" not in stream.getvalue()


def test_a_secret_inside_another_is_hidden_whole() -> None:
    journal, stream = write("json", "abcdefgh", "abcdefgh-and-more")
    journal.note("info", "x", said="abcdefgh-and-more")
    assert json.loads(stream.getvalue())["said"] == HIDDEN


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST_HIDDEN),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_whatever_stands_around_it_a_secret_is_gone(secret: str, around: str) -> None:
    journal, stream = write("json", secret)
    journal.note("info", "x", said=f"{around}{secret}{around}")
    said = json.loads(stream.getvalue())["said"]
    assert secret not in said or secret in HIDDEN * 2


def test_texts_that_cannot_be_encoded_are_written_all_the_same(tmp_path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii", errors="strict") as stream:
        Journal(stream, "json").note("info", "x", box="\udcff ñ \0")
        Journal(stream, "plain").note("info", "dropped", box="ñ")
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["box"] == "\udcff ñ \0"


def test_a_stream_that_takes_nothing_stops_nobody() -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 (its closing fails, as it should)
    for _ in range(3):
        Journal(full, "json").note("error", "x")
    with pytest.raises(OSError, match="No space left"):
        full.close()
    journal, closed = write("json")
    closed.close()
    journal.note("error", "x")


def test_lines_of_many_threads_stay_whole() -> None:
    journal, stream = write("json")
    with ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(journal.note, "info", "x", number=number, filler="y" * 300)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(400))


def test_a_field_cannot_take_the_place_of_the_lines_own() -> None:
    journal, _ = write("json")
    with pytest.raises(ValueError, match="cannot be called"):
        journal.note("info", "x", time="now")
