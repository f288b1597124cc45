"""What becomes of a box's request. A pure function of values; the promises it keeps are those of docs/enrollment.md.

- The first key that is bound is the box's, for its generation: nobody comes after it, and who tries locks both.
- A claim is worth one key, for ever, and only while it has not expired; the same request gets the same answer for ever.
- What cannot be verified proves nothing: it is turned away, and locks nobody.
- A renewal is signed by the bound key, and names the value that the box has just put into Consul. Of two that have the
  same key, as a copied card has, one is found out there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from ritilib.enroll.binding import CLOSED, Asked, Binding, Expected, Held, Used
from ritilib.enroll.claim import Claim, judge_claim, peek_claim, read_claim
from ritilib.enroll.request import SignedRequest, proves_device, read_request
from ritilib.errors import EnrollError
from ritilib.render.names import name_job

LOCKED = "another box has asked with the same claim or key: both are locked out, until `riti enroll replace`"


@dataclass(frozen=True)
class Bind:
    """Bound to the key that signed it: for the first time (used is then to be written with it), or anew."""

    signed: SignedRequest
    used: Used | None = None
    jti: str = ""


@dataclass(frozen=True)
class Keep:
    """The request that has its answer: the same again."""

    signed: SignedRequest


@dataclass(frozen=True)
class Wait:
    """Nothing is decided yet: it is looked at again, when the fleet says more. is_candidate: by approval alone."""

    why: str
    asked: Asked
    is_candidate: bool = False


@dataclass(frozen=True)
class Refuse:
    """Turned away; nobody else is touched by it."""

    why: str
    asked: Asked


@dataclass(frozen=True)
class Conflict:
    """Two have what only one can have: the box is locked, which ends both."""

    why: str
    asked: Asked


Decision = Bind | Keep | Wait | Refuse | Conflict


def find_jti(request: bytes) -> str:
    """The id of the claim in a request, unverified: by which `used` is looked up. "" where there is none."""
    try:
        claim = read_request(request).request.claim
        return peek_claim(claim).jti if claim else ""
    except EnrollError:
        return ""


def decide(
    keys: Collection[str], expected: Expected | None, held: Held, request: bytes, now: datetime
) -> Decision:
    """keys are the public keys (PEM) that sign claims; expected is None where no merged file names the box."""
    try:
        signed = read_request(request)
    except EnrollError as error:
        return Refuse(str(error.problems[0].what), Asked())
    asked = describe(signed)
    if expected is None:
        return Refuse("the merged fleet has no such box", asked)
    if expected.revoked:
        return Refuse("the box is revoked", asked)
    if signed.unit != name_job(expected.fleet, expected.key):
        return Refuse("the request is for another box", asked)
    if held.binding and held.binding.generation > expected.generation:
        what = f"the fleet says generation {expected.generation}, and {held.binding.generation} is bound"
        return Wait(f"{what}: merge the later one again", asked)
    current = held.for_generation(expected.generation)
    if current and current.state in CLOSED:
        return Refuse(
            LOCKED if current.state == "conflict" else "the box is revoked: `riti enroll replace`", asked
        )
    if current and current.state == "bound" and current.request == signed.digest:
        return Keep(signed)
    if signed.request.claim is None:
        return _renew(expected, current, held, signed)
    return _enroll(keys, expected, current, held.used, signed, signed.request.claim, now)


def describe(signed: SignedRequest) -> Asked:
    """What is noted of who made a request."""
    jti = ""
    if signed.request.claim:
        try:
            jti = peek_claim(signed.request.claim).jti
        except EnrollError:
            jti = ""
    return Asked(signed.thumbprint, signed.request.serial, signed.digest, jti, signed.request.image)


def _enroll(
    keys: Collection[str],
    expected: Expected,
    current: Binding | None,
    used: Used | None,
    signed: SignedRequest,
    claim_text: str,
    now: datetime,
) -> Decision:
    asked = describe(signed)
    try:
        claim = read_claim(claim_text, keys)
    except EnrollError:
        return Refuse("the claim is not signed by this fleet's key", asked)
    if why := judge_claim(claim, expected.fleet, expected.fleet_id, expected.key, now.timestamp()):
        return Refuse(why, asked)
    if claim.generation < expected.generation:
        return Refuse(f"the claim is of generation {claim.generation}, and the box was replaced", asked)
    if why := _judge_hardware(claim, expected, signed):
        return Refuse(why, asked)
    is_foreign = used is not None and (used.unit, used.thumbprint) != (expected.key, signed.thumbprint)
    # also while it waits: of two that hold the same claim nobody can tell which is the box
    is_taken = current is not None and current.state in ("bound", "waiting") and bool(current.thumbprint)
    if current and is_taken and current.thumbprint != signed.thumbprint:
        return Conflict("another key asks for the box, with a good claim", asked)
    if is_foreign:
        return Refuse("the claim was used by another key", asked)
    if current and current.state == "denied" and current.jti == claim.jti:
        return Refuse("it was denied: `riti enroll deny`", asked)
    if claim.generation > expected.generation:
        return Wait(f"the claim is of generation {claim.generation}, which is not merged yet", asked)
    if expected.serial is None and not (current and current.approved == signed.request.serial):
        why = f"nobody has said its serial number; it says {signed.request.serial}"
        return Wait(f"{why}: `riti enroll approve {expected.key}`", asked, is_candidate=True)
    return Bind(signed, Used(unit=expected.key, thumbprint=signed.thumbprint), claim.jti)


def _judge_hardware(claim: Claim, expected: Expected, signed: SignedRequest) -> str:
    """Why the claim is not for the hardware that asks; "" where it is, as far as anybody has said which it is for."""
    serial = signed.request.serial
    if claim.serial and claim.serial != serial:
        return f"the claim is for the serial number {claim.serial}, and {serial} asks"
    if expected.serial and expected.serial != serial:
        return f"the fleet says the serial number {expected.serial}, and {serial} asks"
    if claim.otp and not proves_device(signed, claim.otp):
        return "the claim is for a device's own key, and the request is not signed by it"
    return ""


def _renew(expected: Expected, current: Binding | None, held: Held, signed: SignedRequest) -> Decision:
    asked = describe(signed)
    if current is None or current.state != "bound":
        return Refuse("there is no binding that could be renewed: a new card is needed", asked)
    if signed.thumbprint != current.thumbprint:
        return Refuse("the renewal is not signed by the bound key", asked)
    if expected.serial not in (None, current.serial):
        what = f"the fleet says the serial number {expected.serial}, and {current.serial} is bound"
        return Refuse(f"{what}: `riti enroll replace`", asked)
    if not held.may_lock:
        return Wait("Consul shows an older state than before: nothing is decided by it", asked)
    if signed.request.serial != current.serial:
        return Conflict(f"the box's key is in other hardware: {signed.request.serial}", asked)
    if held.advanced is None:
        return Wait("the box has not put its next value into Consul", asked)
    if held.advanced != signed.request.generation_next:
        return Conflict("a copy of the box has its key", asked)
    return Bind(signed)
