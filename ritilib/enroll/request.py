"""A box's request: what it wants signed, the claim by which it may, all signed by the key it will be known by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from pydantic import Field

from ritilib.enroll import jose, overlay_key
from ritilib.enroll.words import Pem, Sent, Token, Words, read
from ritilib.errors import EnrollError

LONGEST = 16 << 10  # bytes; one is about 3 KB


class Request(Sent):
    """claim is the card's at first and None at a renewal; made_at is by the box's clock, and only for people.

    otp_proof is a JWS of proof_words by the key that the claim names as `otp`, where it names one.
    """

    claim: Annotated[str, Field(max_length=4096)] | None = None
    csr: Pem
    overlay_public: Pem
    serial: Annotated[str, Field(max_length=64)]
    nonce: Token
    generation_next: Token
    image: Words
    made_at: Words
    otp_proof: Annotated[str, Field(max_length=2048)] | None = None


@dataclass(frozen=True)
class SignedRequest:
    """A request whose signature and CSR are by the same key; digest is the SHA-256 of its bytes, in hexadecimal."""

    request: Request
    unit: str  # the CSR's common name
    public_key: str
    thumbprint: str
    digest: str
    data: bytes = field(repr=False)


def sign_request(request: Request, private_key: str) -> bytes:
    """The request as it stands in Consul. Keep the bytes: another signing of the same gives others."""
    return jose.sign_with_key(request.encode(), private_key).encode()


def read_request(data: bytes) -> SignedRequest:
    """A request that is signed by the key of its CSR; EnrollError where anything in it does not fit.

    That the key is the right one, and that the claim is good, is for whoever decides.
    """
    if len(data) > LONGEST:
        raise EnrollError.because(f"the request is longer than {LONGEST} bytes", "see who wrote it")
    try:
        text = data.decode("ascii")
    except ValueError:
        raise EnrollError.because("the request is no JWS", "see who wrote it") from None
    verified = jose.verify_by_own_key(text)
    request = read(Request, verified.payload, "the request")
    overlay_key.check_public(request.overlay_public)
    unit = _read_csr(request.csr, verified.public_key)
    return SignedRequest(
        request, unit, verified.public_key, verified.thumbprint, find_digest(data), bytes(data)
    )


def find_digest(data: bytes) -> str:
    """By which a reply names the request that it answers."""
    return hashlib.sha256(data).hexdigest()


def proof_words(thumbprint: str, nonce: str) -> bytes:
    """What the device's own key signs: that this very identity key is of this device."""
    return f"riti-otp {thumbprint} {nonce}".encode()


def proves_device(signed: SignedRequest, otp_key: str) -> bool:
    """Whether the device with this key (PEM) stands behind the request."""
    proof = signed.request.otp_proof
    if proof is None:
        return False
    try:
        return jose.verify(proof, [otp_key]) == proof_words(signed.thumbprint, signed.request.nonce)
    except EnrollError:
        return False


def _read_csr(pem: str, public_key: str) -> str:
    """The common name of a CSR that is signed by this very key and asks for nothing else."""
    refused = EnrollError.because(
        "the request's CSR is not of its key, or asks for more than a name", "let the box make a new one"
    )
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        held = csr.public_key()
        names = list(csr.subject)
        is_ours = isinstance(held, ec.EllipticCurvePublicKey) and _write(held) == public_key.strip()
        if not is_ours or not csr.is_signature_valid or len(names) != 1 or len(list(csr.extensions)):
            raise refused
        if names[0].oid != NameOID.COMMON_NAME:
            raise refused
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        raise refused from None
    return str(names[0].value)


def _write(key: ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
