"""The judge of audio, on signals whose answer is known."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ritilib.devstack.telephony.audio import longest_gap_s, read_wav, share_at
from ritilib.errors import DevstackError

RATE_HZ = 8000


def tone(frequency_hz: float, seconds: float, amplitude: float = 8000.0) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(RATE_HZ * seconds)) / RATE_HZ)


def noise(seconds: float, rms: float) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(0.0, rms, round(RATE_HZ * seconds))


@pytest.mark.parametrize("frequency_hz", [300, 440, 600, 1000, 1234, 3000])
def test_a_pure_tone_is_all_its_own(frequency_hz: int) -> None:
    assert share_at(tone(frequency_hz, 2.0), RATE_HZ, frequency_hz) > 0.99


def test_another_tone_noise_and_silence_are_not_the_tone() -> None:
    assert share_at(tone(600, 2.0), RATE_HZ, 1000) < 0.001
    assert share_at(noise(2.0, 3000.0), RATE_HZ, 1000) < 0.01
    assert share_at(np.zeros(RATE_HZ), RATE_HZ, 1000) == 0.0
    assert share_at(np.zeros(0), RATE_HZ, 1000) == 0.0
    assert share_at(np.full(RATE_HZ, 8.0), RATE_HZ, 1000) < 0.001


def test_the_share_is_of_energy() -> None:
    both = tone(600, 2.0) + tone(1000, 2.0)
    assert share_at(both, RATE_HZ, 600) == pytest.approx(0.5, abs=0.01)
    noisy = tone(600, 2.0, amplitude=1000 * np.sqrt(2)) + noise(2.0, 1000.0)
    assert share_at(noisy, RATE_HZ, 600) == pytest.approx(0.5, abs=0.05)


def test_a_slip_of_the_jitter_buffer_hardly_lowers_it() -> None:
    slipped = np.concatenate([tone(600, 1.0), tone(600, 1.0)[3:]])
    assert share_at(slipped, RATE_HZ, 600) > 0.95


@pytest.mark.parametrize("gap_s", [0.1, 0.5, 2.0])
def test_a_gap_of_known_length_is_found(gap_s: float) -> None:
    filler = np.zeros(round(RATE_HZ * gap_s))
    heard = np.concatenate([tone(600, 1.0), filler, tone(600, 1.0)])
    assert longest_gap_s(heard, RATE_HZ, 600) == pytest.approx(gap_s, abs=0.021)


def test_noise_and_another_tone_are_gaps_too() -> None:
    for filler in (noise(0.4, 2000.0), tone(1000, 0.4)):
        heard = np.concatenate([tone(600, 1.0), filler, tone(600, 1.0)])
        assert longest_gap_s(heard, RATE_HZ, 600) == pytest.approx(0.4, abs=0.021)


def test_the_whole_length_is_a_gap_where_the_tone_never_comes() -> None:
    assert longest_gap_s(np.zeros(RATE_HZ), RATE_HZ, 600) == pytest.approx(1.0)
    assert longest_gap_s(tone(1000, 1.0), RATE_HZ, 600) == pytest.approx(1.0)
    assert longest_gap_s(tone(600, 1.0), RATE_HZ, 600) == 0.0
    assert longest_gap_s(np.zeros(0), RATE_HZ, 600) == 0.0


def write_wav(path: Path, samples: NDArray[np.float64], channels: int = 1) -> None:
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes(samples.astype("<i2").tobytes())


def test_a_finished_and_a_growing_recording_read_the_same(tmp_path: Path) -> None:
    finished, growing = tmp_path / "finished.wav", tmp_path / "growing.wav"
    write_wav(finished, tone(600, 1.0))
    content = bytearray(finished.read_bytes())
    content[4:8] = (8).to_bytes(4, "little")  # so libsndfile leaves both lengths until it closes the file
    content[40:44] = bytes(4)
    growing.write_bytes(bytes(content) + b"\x01")  # half a sample has been written
    samples, rate_hz = read_wav(finished)
    assert rate_hz == RATE_HZ
    assert len(samples) == RATE_HZ
    assert np.array_equal(read_wav(growing)[0], samples)
    growing.write_bytes(bytes(content[:44]))
    assert len(read_wav(growing)[0]) == 0
    growing.write_bytes(bytes(content) + b"\x01")
    assert np.array_equal(read_wav(growing, 0.75)[0], samples[6000:])


def test_what_cannot_be_judged_is_refused(tmp_path: Path) -> None:
    stereo, text = tmp_path / "stereo.wav", tmp_path / "text.wav"
    write_wav(stereo, tone(600, 1.0), channels=2)
    text.write_text("no audio")
    for path in (stereo, text, tmp_path / "absent.wav"):
        with pytest.raises(DevstackError):
            read_wav(path)
