"""A key of the overlay as Nebula writes it: 32 bytes of X25519 in a PEM of its own."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from ritilib.errors import EnrollError

Kind = Literal["PUBLIC", "PRIVATE"]
_BYTES = 32


def write_pem(kind: Kind, key: bytes) -> str:
    """32 bytes as nebula-cert writes them."""
    label = f"NEBULA X25519 {kind} KEY"
    return f"-----BEGIN {label}-----\n{base64.b64encode(key).decode()}\n-----END {label}-----\n"


def read_private(pem: str) -> bytes:
    """The 32 bytes of a private key; EnrollError where it is none."""
    return _read("PRIVATE", pem)


def check_public(pem: str) -> None:
    """EnrollError where it is no public key: it goes to nebula-cert, which reads more kinds than are signed here."""
    _read("PUBLIC", pem)


def _read(kind: Kind, pem: str) -> bytes:
    try:
        key = base64.b64decode("".join(pem.strip().splitlines()[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES or pem.strip() != write_pem(kind, key).strip():
        raise EnrollError.because("the overlay's key is no X25519 key", "let the box make a new request")
    return key
