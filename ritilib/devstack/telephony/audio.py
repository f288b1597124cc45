"""Judging what a phone heard: how much of it is the other side's tone, and for how long that was missing.

Pure, but for reading the WAV. Samples are linear PCM, one channel, in 16-bit units (-32768..32767), any
numeric dtype.

The measure is Goertzel's: the spectrum at one frequency, over a rectangular window. A window of N samples
has a bandwidth of rate/N. `share_at` uses 100 ms (10 Hz), short enough that a jitter buffer's slip spoils
one window and not the recording; `longest_gap_s` uses 20 ms (50 Hz), the length of one RTP packet. Tones
that are multiples of 50 Hz fit both exactly; others are off by less than 1 % from 300 Hz up.
"""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ritilib.errors import DevstackError

_SHARE_WINDOW_S = 0.1
_GAP_WINDOW_S = 0.02
# -50 dB of full scale: line noise and A-law's idle code (8 of 32768) stay below, a phone's tone is some 30
# dB above
_FLOOR_RMS = 100.0
RIFF_HEADER_BYTES = 44

Samples = NDArray[np.generic]


def read_wav(path: Path, start_s: float = 0.0) -> tuple[NDArray[np.int16], int]:
    """One channel of 16-bit samples from start_s on, and the rate in Hz.

    Of a recording that is still being written, all that is there so far.
    Raises DevstackError for anything that is no 16-bit one-channel WAV.
    """
    try:
        content = _complete_header(path.read_bytes())
        with wave.open(io.BytesIO(content)) as reader:
            if reader.getsampwidth() != 2 or reader.getnchannels() != 1:
                raise DevstackError.because(
                    f"{path.name}: {reader.getnchannels()} channels of {8 * reader.getsampwidth()} bits",
                    "only one channel of 16 bits can be judged",
                )
            rate_hz, frames = reader.getframerate(), reader.readframes(reader.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise DevstackError.because(
            f"{path.name} cannot be read as a WAV: {error}", "was the call answered?"
        ) from error
    samples = np.frombuffer(frames[: len(frames) // 2 * 2], dtype="<i2")
    return samples[round(start_s * rate_hz) :], rate_hz


def share_at(samples: Samples, rate_hz: int, tone_hz: float) -> float:
    """The share (0..1) of the whole energy that lies within 5 Hz around the tone.

    1 is the pure tone, white noise at 8 kHz gives 0.0025, silence 0. Silence beside the tone does not lower
    it (that is what `longest_gap_s` sees). Shorter than one window of 100 ms: 0.
    """
    windows = _windows(samples, rate_hz, _SHARE_WINDOW_S)
    total = float(np.sum(windows**2))
    return min(1.0, float(np.sum(_tone_energy(windows, rate_hz, tone_hz))) / total) if total else 0.0


def longest_gap_s(samples: Samples, rate_hz: int, tone_hz: float) -> float:
    """The longest stretch in seconds without the tone, in steps of 20 ms; silence at both ends counts too.

    A window of 20 ms has the tone where it is above -50 dB of full scale and the tone is at least half of
    its energy.
    """
    windows = _windows(samples, rate_hz, _GAP_WINDOW_S)
    energy = np.sum(windows**2, axis=1)
    loud = energy >= windows.shape[1] * _FLOOR_RMS**2
    present = loud & (_tone_energy(windows, rate_hz, tone_hz) >= 0.5 * energy)
    # the places of the windows with the tone, between two posts just outside: the widest distance is the gap
    posts = np.concatenate(([-1], np.flatnonzero(present), [len(present)]))
    return float(np.max(np.diff(posts)) - 1) * _GAP_WINDOW_S


def _complete_header(content: bytes) -> bytes:
    """A WAV with its lengths filled in: libsndfile writes them only when it closes the file."""
    if len(content) < RIFF_HEADER_BYTES or content[36:RIFF_HEADER_BYTES] != b"data" + bytes(4):
        return content
    data = len(content) - RIFF_HEADER_BYTES
    riff = data + RIFF_HEADER_BYTES - 8
    start, middle, rest = content[:4], content[8:40], content[RIFF_HEADER_BYTES:]
    return start + riff.to_bytes(4, "little") + middle + data.to_bytes(4, "little") + rest


def _windows(samples: Samples, rate_hz: int, window_s: float) -> NDArray[np.float64]:
    length = round(rate_hz * window_s)
    count = len(samples) // length
    return np.asarray(samples[: count * length], dtype=np.float64).reshape(count, length)


def _tone_energy(windows: NDArray[np.float64], rate_hz: int, tone_hz: float) -> NDArray[np.float64]:
    """Goertzel's figure for each window, scaled so that a pure tone gives the window's whole energy."""
    length = windows.shape[1]
    turns = np.exp(-2j * np.pi * tone_hz / rate_hz * np.arange(length))
    energy: NDArray[np.float64] = 2.0 / length * np.abs(windows @ turns) ** 2
    return energy
