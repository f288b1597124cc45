"""JWS and JWT by ES256, and nothing else: one algorithm, so that no header can choose another."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ritilib.errors import EnrollError

ALGORITHM = "ES256"
_CURVE = "P-256"
_ONLY = [ALGORITHM]


@dataclass(frozen=True)
class Verified:
    """What was signed, and by which key: its PEM, and its thumbprint (RFC 7638, SHA-256), by which it is known."""

    payload: bytes
    public_key: str
    thumbprint: str


def sign(payload: bytes, private_key: str, header: Mapping[str, Any]) -> str:
    """payload signed by a key (PEM), in compact form. Two signings of the same differ: ECDSA takes a random number."""
    return jws.serialize_compact({"alg": ALGORITHM, **header}, payload, ECKey.import_key(private_key), _ONLY)


def sign_with_key(payload: bytes, private_key: str) -> str:
    """The same, with the public key in the header: who reads it learns the key from it."""
    key = ECKey.import_key(private_key)
    return sign(payload, private_key, {"jwk": key.as_dict(private=False)})


def draft(payload: bytes, header: Mapping[str, Any]) -> str:
    """What is to be signed where the key is elsewhere (Vault's transit): header and payload, encoded."""
    said = json.dumps({"alg": ALGORITHM, **header}, separators=(",", ":"), sort_keys=True)
    return f"{encode(said.encode())}.{encode(payload)}"


def verify(text: str, keys: Iterable[str]) -> bytes:
    """The payload, where one of these keys (PEM) signed it. EnrollError where none of them did."""
    for key in keys:
        payload = _try(text, ECKey.import_key(key))
        if payload is not None:
            return payload
    raise EnrollError.because("none of the expected keys signed it", "see where it comes from")


def verify_by_own_key(text: str) -> Verified:
    """What was signed by the key of its own header: it proves possession of that key, not whose it is."""
    try:
        held = jws.extract_compact(text.encode()).headers().get("jwk")
    except (JoseError, ValueError) as error:
        raise _unreadable(error) from None
    if not isinstance(held, dict) or held.get("kty") != "EC" or held.get("crv") != _CURVE or "d" in held:
        raise EnrollError.because("its header has no public key on P-256", "let the box make a new request")
    try:
        key = ECKey.import_key(held)
        pem = key.as_pem(private=False).decode()
        thumbprint = str(key.thumbprint())
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(error) from None
    payload = _try(text, key)
    if payload is None:
        raise EnrollError.because("its signature is not by its own key", "let the box make a new request")
    return Verified(payload, pem, thumbprint)


def peek(text: str) -> bytes:
    """The payload, with no look at the signature: for who holds it and has no key to judge it by."""
    try:
        return jws.extract_compact(text.encode()).payload
    except (JoseError, ValueError) as error:
        raise _unreadable(error) from None


def encode(data: bytes) -> str:
    """base64url without its filling."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def find_thumbprint(public_key: str) -> str:
    """The thumbprint (RFC 7638) of a public key in PEM."""
    return str(ECKey.import_key(public_key).thumbprint())


def _try(text: str, key: ECKey) -> bytes | None:
    try:
        found = jws.deserialize_compact(text.encode(), key, _ONLY)
    except (JoseError, ValueError):
        return None
    return bytes(found.payload)


def _unreadable(error: Exception) -> EnrollError:
    return EnrollError.because(f"it cannot be read: {type(error).__name__}", "see who wrote it")
