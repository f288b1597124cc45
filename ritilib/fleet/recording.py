"""From somebody's recording to words as Asterisk plays them (words.py)."""

from __future__ import annotations

from io import BytesIO

from ritilib.errors import FleetError
from ritilib.fleet.words import judge_recording

RATE_HZ = 8000  # of GSM 06.10, and of the telephone


def encode_recording(content: bytes) -> bytes:
    """A recording (WAV, FLAC, OGG, MP3 or what else libsndfile reads; any rate, any number of channels) in GSM 06.10.

    What is GSM 06.10 already comes back as it is. Raises FleetError where libsndfile finds no recording in it.
    """
    if not any(judge_recording("", content)):
        return content
    # here and not above, since no other command needs them, and they take longer to start than most commands
    import soundfile
    import soxr

    try:
        samples, rate_hz = soundfile.read(BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        mend = "give a recording as WAV, FLAC, OGG or MP3"
        raise FleetError.because(f"this is no recording: {error.error_string}", mend) from error
    spoken = soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)
    coded = BytesIO()
    # libsndfile's "raw" has the very frames of Asterisk's format_gsm, the last one filled up with silence
    soundfile.write(coded, spoken, RATE_HZ, format="RAW", subtype="GSM610")
    return coded.getvalue()
