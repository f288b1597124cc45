"""Recordings for tests: a tone as somebody's WAV, and as the words of a menu."""

from __future__ import annotations

import io
import wave

import numpy as np

from ritilib.fleet.recording import encode_recording


def make_wav(tone_hz: int, length_s: float, rate_hz: int = 16000, channels: int = 1) -> bytes:
    """A WAV with a tone at a third of full scale, the same in each channel."""
    times_s = np.arange(round(rate_hz * length_s)) / rate_hz
    samples = np.repeat(np.round(10000 * np.sin(2 * np.pi * tone_hz * times_s)), channels)
    made = io.BytesIO()
    with wave.open(made, "wb") as writer:
        writer.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        writer.writeframes(samples.astype("<i2").tobytes())
    return made.getvalue()


def make_words(tone_hz: int, length_s: float) -> bytes:
    """The same in GSM 06.10."""
    return encode_recording(make_wav(tone_hz, length_s))
