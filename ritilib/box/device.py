"""The device's own key, which lies in its OTP memory and signs by its firmware: a card alone cannot have it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ritilib.enroll import jose
from ritilib.errors import EnrollError

# raspberrypi/utils, rpifwcrypto: the firmware's service, so that the private key never is in this system's memory
TOOL = "rpi-fw-crypto"
KEY_ID = "1"  # "device unique OTP key"
TIMEOUT_S = 30.0
_HALF = 32  # bytes of each of the two numbers of a signature on P-256 (RFC 7518, 3.4)


def prove_device(public_key: str, words: bytes, tool: str = TOOL) -> str:
    """words as a JWS by the device's own key, whose public half (PEM) the card names.

    EnrollError where this device has no such key, or another one.
    """
    drafted = jose.draft(words, {})
    proof = f"{drafted}.{jose.encode(_sign(drafted.encode(), tool))}"
    try:
        jose.verify(proof, [public_key])
    except EnrollError:
        raise EnrollError.because(
            "the card is for the device with another key than this one's",
            "put it into that one, or make another card",
        ) from None
    return proof


def _sign(message: bytes, tool: str) -> bytes:
    """ECDSA of the message's SHA-256 on P-256, as JWS has it: both numbers, of one length."""
    with TemporaryDirectory(prefix="riti-device-") as folder:
        source, target = Path(folder, "message.bin"), Path(folder, "signature.der")
        source.write_bytes(message)
        words = [tool, "sign", "--in", str(source), "--key-id", KEY_ID, "--alg", "ec", "--out", str(target)]
        try:
            done = subprocess.run(words, capture_output=True, timeout=TIMEOUT_S, check=False)
        except OSError as error:
            raise _unable(f"`{tool}` cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise _unable(f"`{tool}` said nothing in {TIMEOUT_S:.0f} s") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise _unable(f"`{tool}` ended with {done.returncode}{f': {said[-1][:200]}' if said else ''}")
        try:
            first, second = decode_dss_signature(target.read_bytes())
        except (OSError, ValueError):
            raise _unable(f"`{tool}` gave no signature") from None
    return first.to_bytes(_HALF) + second.to_bytes(_HALF)


def _unable(why: str) -> EnrollError:
    return EnrollError.because(
        f"the card is for a device with a key of its own, and {why}",
        "write a key into the device (docs/enrollment.md), or make a card without --otp",
    )
