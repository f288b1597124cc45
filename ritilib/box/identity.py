"""The keys that a box makes for itself, once, and the requests that it signs with them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ritilib.box.kept import Generation
from ritilib.box.store import IDENTITY_KEY, OVERLAY_KEY, REQUEST, Store
from ritilib.enroll.jose import find_thumbprint
from ritilib.enroll.overlay_key import read_private, write_pem
from ritilib.enroll.request import Request, proof_words, sign_request

RANDOM_BYTES = 24


def make_identity(store: Store) -> None:
    """Make the key that the box is known by. Call it where there is none."""
    key = ec.generate_private_key(ec.SECP256R1())
    store.write(IDENTITY_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def make_overlay_key(store: Store) -> None:
    """Make the overlay's key, as Nebula reads it."""
    key = X25519PrivateKey.generate()
    store.write(OVERLAY_KEY, write_pem("PRIVATE", key.private_bytes_raw()))


def find_overlay_public(store: Store) -> str:
    """The public half of the overlay's key: it is computed, so the two can never be of different keys."""
    private = X25519PrivateKey.from_private_bytes(read_private(store.read(OVERLAY_KEY)))
    return write_pem("PUBLIC", private.public_key().public_bytes_raw())


def make_random() -> str:
    """Something that nobody guesses, and nobody chooses twice."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def make_request(
    store: Store,
    unit: str,
    generation: Generation,
    claim: str | None,
    serial: str,
    image: str,
    now: datetime,
    prove: Callable[[bytes], str] | None = None,
) -> None:
    """Sign and keep a request, whose bytes are from now on the request; claim is None at a renewal.

    prove signs by the device's own key that the request's is of this device; None: the claim names no such key.
    """
    private, nonce = store.read(IDENTITY_KEY), make_random()
    request = Request(
        claim=claim,
        csr=_make_csr(private, unit),
        overlay_public=find_overlay_public(store),
        serial=serial,
        nonce=nonce,
        generation_next=generation.next,
        image=image,
        made_at=now.isoformat(timespec="seconds"),
        otp_proof=prove(proof_words(find_thumbprint(private), nonce)) if prove else None,
    )
    store.write(REQUEST, sign_request(request, private).decode())


def _make_csr(private: str, unit: str) -> str:
    key = load_pem_private_key(private.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, unit)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(Encoding.PEM).decode()
