"""The claim on a box's card: who may ask to be which box, until when. Consul judges it too, so it is a JWT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from ritilib.enroll import jose
from ritilib.enroll.words import JobName, Pem, Sent, Token, Words, read
from ritilib.render.names import name_job

DAY_S = 86_400
LONGEST_DAYS = 30


class Claim(Sent):
    """aud is "riti:<fleet uuid>", sub and unit both the unit's job name; times are seconds since 1970."""

    iss: Literal["riti"] = "riti"
    aud: Words
    sub: JobName
    unit: JobName  # Consul maps this one to a role: it cannot map `sub` itself
    jti: Token
    iat: int
    nbf: int
    exp: int
    generation: Annotated[int, Field(ge=1)]
    serial: Annotated[str, Field(max_length=64)] | None = None
    otp: Pem | None = None


def name_audience(fleet_id: str) -> str:
    """Whom a claim of this fleet is for."""
    return f"riti:{fleet_id}"


def make_claim(
    fleet: str,
    fleet_id: str,
    key: str,
    jti: str,
    now_s: int,
    days: int,
    generation: int,
    serial: str | None = None,
    otp: str | None = None,
) -> Claim:
    """The claim of a box ("acme/salto"), good from now_s for so many days (30 at the most); jti is random."""
    unit = name_job(fleet, key)
    end_s = now_s + min(days, LONGEST_DAYS) * DAY_S
    return Claim(
        aud=name_audience(fleet_id),
        sub=unit,
        unit=unit,
        jti=jti,
        iat=now_s,
        nbf=now_s,
        exp=end_s,
        generation=generation,
        serial=serial,
        otp=otp,
    )


def draft_claim(claim: Claim) -> str:
    """What Vault's transit key signs (ES256; marshaling_algorithm "jws"); seal_claim puts the two together."""
    return jose.draft(claim.encode(), {"typ": "JWT"})


def seal_claim(draft: str, signature: str) -> str:
    """The claim as it stands on a card; signature as JWS has it: base64url of two numbers side by side."""
    return f"{draft}.{signature}"


def sign_claim(claim: Claim, private_key: str) -> str:
    """The same by a key at hand (PEM)."""
    return jose.sign(claim.encode(), private_key, {"typ": "JWT"})


def read_claim(text: str, keys: Iterable[str]) -> Claim:
    """A claim that one of these keys (PEM) signed; EnrollError where none did. Its times are not judged."""
    return read(Claim, jose.verify(text, keys), "the claim")


def peek_claim(text: str) -> Claim:
    """What a claim says, unverified: a box has no key to verify it by, and the servers judge it anyway."""
    return read(Claim, jose.peek(text), "the claim")


def judge_claim(claim: Claim, fleet: str, fleet_id: str, key: str, now_s: float) -> str:
    """Why a claim whose signature is right is not good for this box now; "" where it is."""
    if claim.aud != name_audience(fleet_id):
        return "the claim is of another fleet"
    unit = name_job(fleet, key)
    if claim.sub != unit or claim.unit != unit:
        return "the claim is of another box"
    if claim.exp - claim.nbf > LONGEST_DAYS * DAY_S or claim.exp - claim.iat > LONGEST_DAYS * DAY_S:
        return f"the claim is good for more than {LONGEST_DAYS} days"
    if now_s < claim.nbf:
        return "the claim is not good yet"
    return "the claim has expired" if now_s >= claim.exp else ""
