"""Boxes that ask to be enrolled, as values: their keys, claims and requests, without any server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID

from ritilib.enroll.claim import make_claim, sign_claim
from ritilib.enroll.jose import sign
from ritilib.enroll.overlay_key import write_pem
from ritilib.enroll.request import Request, proof_words, read_request, sign_request
from ritilib.render.names import name_job

FLEET, FLEET_ID, KEY, SERIAL = (
    "demo",
    "2f6e0a5c-51a3-4d8f-9c80-0c3c6f4c6a11",
    "acme/salto",
    "10000000abcdef01",
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = 30


def make_key() -> str:
    """A private key on P-256 (PEM)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*FORM).decode()


FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
CLAIM_KEY = make_key()


def find_public(private: str) -> str:
    """Its public half (PEM)."""
    key = serialization.load_pem_private_key(private.encode(), None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


KEYS = (find_public(CLAIM_KEY),)


def make_card(
    generation: int = 1,
    serial: str | None = SERIAL,
    key: str = KEY,
    fleet: str = FLEET,
    fleet_id: str = FLEET_ID,
    signer: str = CLAIM_KEY,
    now: datetime = NOW,
    days: int = DAYS,
    otp: str | None = None,
) -> str:
    """A claim of its own, signed."""
    jti = secrets.token_urlsafe(16)
    return sign_claim(
        make_claim(fleet, fleet_id, key, jti, int(now.timestamp()), days, generation, serial, otp), signer
    )


@dataclass
class Pi:
    """One piece of hardware with its data partition: its keys, and the value that it puts into Consul next."""

    serial: str = SERIAL
    unit: str = name_job(FLEET, KEY)
    private: str = field(default_factory=make_key, repr=False)
    advanced: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    overlay: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate, repr=False)

    @property
    def thumbprint(self) -> str:
        return read_request(self.ask(None)).thumbprint

    @property
    def overlay_private(self) -> str:
        """The key of its certificates of the overlay (PEM)."""
        return write_pem("PRIVATE", self.overlay.private_bytes_raw())

    def ask(self, claim: str | None, nonce: str = "n" * 20, otp: str | None = None) -> bytes:
        """A request: by a claim, or (None) a renewal. Each signing gives other bytes."""
        key = serialization.load_pem_private_key(self.private.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.unit)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        request = Request(
            claim=claim,
            csr=csr.public_bytes(serialization.Encoding.PEM).decode(),
            overlay_public=write_pem("PUBLIC", self.overlay.public_key().public_bytes_raw()),
            serial=self.serial,
            nonce=nonce,
            generation_next=self.advanced,
            image="a box",
            made_at=NOW.isoformat(),
        )
        if otp:
            thumbprint = read_request(sign_request(request, self.private)).thumbprint
            request = request.model_copy(update={"otp_proof": sign(proof_words(thumbprint, nonce), otp, {})})
        return sign_request(request, self.private)
