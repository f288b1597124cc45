"""What a box has on its data partition, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from ritilib.enroll import jose
from ritilib.enroll.claim import peek_claim
from ritilib.enroll.reply import Reply
from ritilib.enroll.request import Request, find_digest
from ritilib.enroll.words import read


@dataclass(frozen=True)
class Generation:
    """held is what the box last put into Consul ("": nothing yet), next what it will put there or has just put."""

    held: str = ""
    next: str = ""


@dataclass(frozen=True)
class KeptRequest:
    """The box's last request. claim_id and claim_generation are of the card's claim, "" and 0 at a renewal."""

    data: bytes = field(repr=False)
    digest: str
    generation_next: str
    claim_id: str = ""
    claim_generation: int = 0

    @property
    def is_renewal(self) -> bool:
        return not self.claim_id


@dataclass(frozen=True)
class Kept:
    """reply is the last by which the box was bound; has_files whether its certificates are written out as files."""

    thumbprint: str = ""  # of the identity key; "": there is none yet
    has_overlay_key: bool = False
    generation: Generation = Generation()
    request: KeptRequest | None = None
    reply: Reply | None = None
    has_files: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether the last request has its certificates."""
        return bool(self.request and self.reply and self.reply.request == self.request.digest)


def keep_request(data: bytes) -> KeptRequest:
    """The box's own request, from its bytes; its signature is its own and is not looked at."""
    request = read(Request, jose.peek(data.decode()), "the request")
    digest = find_digest(data)
    if request.claim is None:
        return KeptRequest(data, digest, request.generation_next)
    claim = peek_claim(request.claim)
    return KeptRequest(data, digest, request.generation_next, claim.jti, claim.generation)
