"""riti words: from somebody's recording to a file that Asterisk plays, and out of the repository again."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ritilib.errors import FleetError
from ritilib.fleet.recording import encode_recording
from ritilib.fleet.words import FRAME_BYTES, judge_recording, measure_s
from tests.recordings import make_wav
from tests.unit.fleets import ACME, make_files
from tests.unit.test_cli import list_files, run, write

MENU = 'menus: [{number: "700", name: Hola, words: welcome, choices: {"1": "201"}, else: "101"}]\n'
WELCOME = "fleet/words/acme/welcome.gsm"


def share_at(content: bytes, tone_hz: int) -> float:
    """The share of the energy of GSM 06.10 within 5 Hz around the tone, but for the first tenth of a second."""
    samples, rate_hz = soundfile.read(
        io.BytesIO(content), samplerate=8000, channels=1, format="RAW", subtype="GSM610"
    )
    assert rate_hz == 8000
    spectrum = np.abs(np.fft.rfft(samples[800:])) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples) - 800, 1 / 8000) - tone_hz) <= 5
    return float(spectrum[near].sum() / spectrum.sum())


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_stays_that_tone(rate_hz: int, channels: int) -> None:
    coded = encode_recording(make_wav(1000, 1.5, rate_hz, channels))
    assert [*judge_recording("", coded)] == []
    assert measure_s(coded) == pytest.approx(1.5, abs=0.02)
    assert share_at(coded, 1000) > 0.9


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "AIFF", "AU"])
def test_many_kinds_of_files_are_read(kind: str) -> None:
    samples, rate_hz = soundfile.read(io.BytesIO(make_wav(700, 1.0)))
    made = io.BytesIO()
    soundfile.write(made, samples, rate_hz, format=kind)
    assert share_at(encode_recording(made.getvalue()), 700) > 0.9


def test_what_asterisk_plays_already_stays_as_it_is() -> None:
    coded = encode_recording(make_wav(1000, 0.25))
    assert len(coded) % FRAME_BYTES == 0
    assert encode_recording(coded) == coded


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no recording at all", bytes(1000)])
def test_what_is_no_recording_is_refused(content: bytes) -> None:
    with pytest.raises(FleetError, match="this is no recording"):
        encode_recording(content)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    write(root, make_files())
    (tmp_path / "hello.wav").write_bytes(make_wav(800, 1.0, 44100))
    return root


def test_add_list_remove(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repo)
    assert run(monkeypatch, "words", "list") == 0
    assert capsys.readouterr().out == ""
    assert run(monkeypatch, "words", "add", "acme", "welcome", "../hello.wav") == 0
    said = capsys.readouterr()
    assert said.out == f"{WELCOME} written; next: riti render\n"
    assert f"warning: {WELCOME}: no menu says these words" in said.err
    assert share_at((repo / WELCOME).read_bytes(), 800) > 0.9
    write(repo, make_files(acme=ACME + MENU))
    assert run(monkeypatch, "words", "list") == 0
    assert capsys.readouterr().out == "acme\twelcome\t1.0 s\t700\n"
    assert run(monkeypatch, "words", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {"company": "acme", "name": "welcome", "seconds": 1.0, "menus": ["700"]}
    ]
    # in use
    assert run(monkeypatch, "words", "remove", "acme", "welcome") == 1
    assert "which are not recorded" in capsys.readouterr().err
    assert (repo / WELCOME).exists()
    write(repo, make_files())
    assert run(monkeypatch, "words", "remove", "acme", "welcome") == 0
    assert capsys.readouterr().out == f"{WELCOME} removed; next: riti render\n"
    assert run(monkeypatch, "words", "remove", "acme", "welcome") == 1
    assert f"error: {WELCOME}: is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("acme", "Welcome", "../hello.wav"), "cannot be a name"),
        (("acme", "a/b", "../hello.wav"), "is no file that RITI reads"),
        (("acme", "../../../x", "../hello.wav"), "fleet/words/acme/../../../x.gsm"),
        (("acne", "welcome", "../hello.wav"), "words of an unknown company `acne`"),
        (("acme", "welcome", "fleet/fleet.yaml"), "this is no recording"),
        (("acme", "long", "../long.wav"), "is 61 s long, and words may be 60"),
    ],
)
def test_what_the_fleet_cannot_take_is_refused_and_nothing_is_written(
    repo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    (repo.parent / "long.wav").write_bytes(make_wav(800, 61.0, 8000))
    before = list_files(repo.parent)
    monkeypatch.chdir(repo)
    assert run(monkeypatch, "words", "add", *words) == 1
    assert said in capsys.readouterr().err
    assert list_files(repo.parent) == before


def test_other_commands_do_not_wait_for_the_libraries_of_sound() -> None:
    code = "import sys, ritilib.cli.words; print({'numpy', 'soundfile', 'soxr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
