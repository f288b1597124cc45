"""What a box does next on its way in: a pure function of what it keeps, what it has learned, and the time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509

from ritilib.box.kept import Generation, Kept, KeptRequest
from ritilib.enroll.claim import Claim
from ritilib.enroll.reply import Reply
from ritilib.enroll.request import find_digest

RENEWED_AT = 1 / 3  # of a certificate's life, so that twenty days without a controller end no telephony
JITTER = 0.1  # of that time, up and down
PAST_MOST = 32  # renewals: of ten days each, nearly a year, and no backup of Consul's is as old


class Step(StrEnum):
    """One thing to do: at most one file written, or one request sent."""

    MAKE_IDENTITY = "make the box's key"
    MAKE_OVERLAY_KEY = "make the overlay's key"
    CHOOSE_GENERATION = "choose the next generation"
    MAKE_REQUEST = "make the request"
    LOGIN_BY_CLAIM = "log in by the card's claim"
    READ_REQUEST = "look whether a request is there"
    PUT_REQUEST = "put the request"
    WAIT_REPLY = "wait for the reply"
    KEEP_REPLY = "keep the reply"
    WRITE_FILES = "write the certificates"
    END_CLAIM = "log out"
    LOGIN_BY_CERTIFICATE = "log in by the certificate"
    TAKE_JWT = "ask Vault for a word to Consul"
    LOGIN_BY_JWT = "log in to Consul by it"
    ADVANCE = "put the next generation"
    SETTLE = "keep that it is there"
    READ_DOCUMENT = "look whether its configuration is there"
    REST = "rest until the certificate is due"
    STOP_EXPIRED = "stop: the claim has expired"
    STOP_DENIED = "stop: denied"
    STOP_CONFLICT = "stop: the card was used by another box"
    STOP_COPY = "stop: there is a copy of this box"


class Standing(StrEnum):
    """What lies where the box puts its request."""

    NOTHING = "nothing"
    OURS = "our request"
    PREVIOUS = "the request before, which has its answer"
    FOREIGN = "a request that this box did not make"


@dataclass(frozen=True)
class Known:
    """What this run has learned; all of it is learned again after a restart.

    has_put: whether our request was seen there, or put. has_objected: whether one that is not ours was replaced by ours
    already. has_looked: whether a reply that is there already was looked for. is_copied: whether Consul has a
    generation that this box did not put there. is_refused: whether a claim was refused after we objected.
    has_renewed: whether certificates came in this run.
    """

    claim_token: str = field(default="", repr=False)
    vault_token: str = field(default="", repr=False)
    jwt: str = field(default="", repr=False)
    box_token: str = field(default="", repr=False)
    standing: Standing | None = None
    request_index: int = 0
    has_put: bool = False
    has_objected: bool = False
    has_looked: bool = False
    answer: Reply | None = None
    answer_moved: int = 0
    is_advanced: bool = False
    is_copied: bool = False
    is_refused: bool = False
    has_renewed: bool = False
    has_document: bool = False

    def forget_request(self) -> Known:
        """What is left where another request is to be made, or what was learned of one counts no more."""
        return replace(
            Known(),
            claim_token=self.claim_token,
            vault_token=self.vault_token,
            jwt=self.jwt,
            box_token=self.box_token,
            has_renewed=self.has_renewed,
            has_document=self.has_document,
        )


def next_step(kept: Kept, known: Known, claim: Claim, now: datetime | None) -> Step:
    """The one thing to do now; now is None as long as nobody knows the time."""
    if not kept.thumbprint:
        return Step.MAKE_IDENTITY
    if not kept.has_overlay_key:
        return Step.MAKE_OVERLAY_KEY
    generation, request = kept.generation, kept.request
    if is_new_card(kept, claim):
        return Step.CHOOSE_GENERATION
    if generation.next and (request is None or request.generation_next != generation.next):
        is_ready = bool(generation.claim_id) or known.is_advanced or known.is_copied
        return Step.MAKE_REQUEST if is_ready else _sign_in(known) or Step.ADVANCE
    if request and not kept.is_answered:
        return _ask(request, known, claim, now)
    return _stay(kept, known, now)


def is_new_card(kept: Kept, claim: Claim) -> bool:
    """Whether the card is one to ask with: the first; another one for a box that is not bound yet; or one of a higher
    generation than the last, which is how a box is let in anew."""
    generation = kept.generation
    if claim.generation != generation.card or not generation.claim_id:
        return claim.generation > generation.card
    is_bound = (
        kept.is_answered and kept.request is not None and kept.request.generation_next == generation.next
    )
    return not is_bound and claim.jti != generation.claim_id


def _ask(request: KeptRequest, known: Known, claim: Claim, now: datetime | None) -> Step:
    """On the way to an answer: by the claim's token at first, by the box's own at a renewal."""
    if request.is_renewal:
        signing_in = _sign_in(known)
        if signing_in:
            return signing_in
    elif known.is_refused:
        return Step.STOP_CONFLICT
    elif not known.claim_token:
        is_late = now is not None and now >= datetime.fromtimestamp(claim.exp, UTC)
        return Step.STOP_EXPIRED if is_late else Step.LOGIN_BY_CLAIM
    answer = known.answer if known.answer and known.answer.request == request.digest else None
    if answer and answer.state == "bound":
        return Step.KEEP_REPLY
    if not known.has_looked:
        return Step.WAIT_REPLY
    match known.standing:
        case None:
            return Step.READ_REQUEST
        case Standing.OURS:
            # a refusal is of now where the request is gone, which is right after it; else it may be of another day
            return Step.READ_REQUEST if answer and answer.state != "waiting" else Step.WAIT_REPLY
        case Standing.FOREIGN:
            # the controller has to see both, or it could not lock them; whoever objects as well is not answered twice
            return _stop(request) if known.has_objected else _put(request, known)
    # the controller takes away what it has answered, but for what waits
    if known.has_put and answer and answer.state == "denied":
        return Step.STOP_DENIED
    if known.has_put and answer and answer.state == "conflict":
        return _stop(request)
    return _put(request, known)


def _put(request: KeptRequest, known: Known) -> Step:
    """Consul that was restored meanwhile has lost both the request and the value it names, and a request without that
    value is one of a copy."""
    return (
        Step.PUT_REQUEST if not request.is_renewal or known.is_advanced or known.is_copied else Step.ADVANCE
    )


def _stop(request: KeptRequest) -> Step:
    return Step.STOP_COPY if request.is_renewal else Step.STOP_CONFLICT


def _stay(kept: Kept, known: Known, now: datetime | None) -> Step:
    """Bound: into Vault and Consul by its own certificate, and there from one renewal to the next."""
    if not kept.has_files:
        return Step.WRITE_FILES
    if known.claim_token:
        return Step.END_CLAIM
    signing_in = _sign_in(known)
    if signing_in:
        return signing_in
    if kept.generation.next:
        return Step.SETTLE if known.is_advanced else Step.ADVANCE
    due = find_renewal(kept)
    # once a run: a clock that is ahead of the servers' would have it renewed for ever
    if now is not None and due is not None and now >= due and not known.has_renewed:
        return Step.CHOOSE_GENERATION
    return Step.REST if known.has_document else Step.READ_DOCUMENT


def _sign_in(known: Known) -> Step | None:
    if known.box_token:
        return None
    if known.jwt:
        return Step.LOGIN_BY_JWT
    return Step.TAKE_JWT if known.vault_token else Step.LOGIN_BY_CERTIFICATE


def choose(kept: Kept, claim: Claim, fresh: str) -> Generation:
    """What CHOOSE_GENERATION keeps; fresh is random."""
    if is_new_card(kept, claim):
        return Generation(
            "", fresh, claim.jti, claim.generation
        )  # whatever was in Consul was before this card
    return replace(kept.generation, next=fresh, claim_id="")


def settle(generation: Generation) -> Generation:
    """What SETTLE keeps."""
    past = (generation.held, *generation.past)[:PAST_MOST] if generation.held else generation.past
    return Generation(generation.next, "", "", generation.card, past)


def find_standing(kept: Kept, found: bytes | None) -> Standing:
    """What the bytes are that lie where the box puts its request; None: there are none."""
    if found is None:
        return Standing.NOTHING
    if kept.request and found == kept.request.data:
        return Standing.OURS
    if kept.reply and find_digest(found) == kept.reply.request:
        return Standing.PREVIOUS
    return Standing.FOREIGN


def find_copy(generation: Generation, found: str) -> bool:
    """Whether the value in Consul is none that this box ever put there; found is "" where there is none.

    A box that has put none yet takes over whatever the one before it left. A value of its own past is of a Consul that
    was restored: a copy that renews puts one that this box has never had.
    """
    return bool(generation.held) and found not in ("", generation.held, generation.next, *generation.past)


def find_renewal(kept: Kept) -> datetime | None:
    """When the certificate is due: at a third of its life, up to a tenth of that sooner or later, the same after each
    restart; sooner where the reply says so, or where the overlay's is of an authority before the one that signs now.
    None where there is none."""
    if not kept.reply or not kept.reply.identity:
        return None
    crt = x509.load_pem_x509_certificate(kept.reply.identity.encode())
    third = (crt.not_valid_after_utc - crt.not_valid_before_utc) * RENEWED_AT
    chance = int.from_bytes(hashlib.sha256(kept.reply.request.encode()).digest()[:8]) / 2**64
    due = crt.not_valid_before_utc + third * (1 + JITTER * (2 * chance - 1))
    if kept.reply.overlay_authority < kept.trust.authority:
        turn = kept.trust.renew_from
        due = min(due, datetime.fromisoformat(turn).astimezone(UTC)) if turn else crt.not_valid_before_utc
    said = kept.reply.renew_at
    return min(due, datetime.fromisoformat(said).astimezone(UTC)) if said else due
