"""A public key of the overlay as Nebula writes it: 32 bytes of X25519 in its own PEM."""

from __future__ import annotations

import base64
import binascii

from ritilib.errors import EnrollError

_BYTES = 32


def write_pem(kind: str, key: bytes) -> str:
    """kind is "PUBLIC" or "PRIVATE"."""
    label = f"NEBULA X25519 {kind} KEY"
    return f"-----BEGIN {label}-----\n{base64.b64encode(key).decode()}\n-----END {label}-----\n"


def check_public(pem: str) -> None:
    """EnrollError where it is none: it goes into nebula-cert, which reads more kinds than we sign."""
    lines = pem.strip().splitlines()
    try:
        key = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES or pem.strip() != write_pem("PUBLIC", key).strip():
        raise EnrollError.because("the overlay's key is no X25519 key", "let the box make a new request")
