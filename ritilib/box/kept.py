"""What a box has on its data partition, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from ritilib.enroll import jose
from ritilib.enroll.reply import Reply
from ritilib.enroll.request import Request, find_digest
from ritilib.enroll.words import read


@dataclass(frozen=True)
class Generation:
    """held is what the box last put into Consul ("": nothing yet), next what it puts there now ("": nothing).

    claim_id is the card's for which next was chosen, "" where that was for a renewal; card is the generation of the
    last card that this box asked with. past is what it held before, the newest first: a Consul that was restored from
    a snapshot has one of these, and without them every box that renewed since would take that for a copy of itself.
    """

    held: str = ""
    next: str = ""
    claim_id: str = ""
    card: int = 0
    past: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptRequest:
    """The box's last request; is_renewal where no claim is in it."""

    data: bytes = field(repr=False)
    digest: str
    generation_next: str
    is_renewal: bool


@dataclass(frozen=True)
class Trust:
    """What the box's document says of the overlay's authorities: ca is the PEM of all that are trusted, and edition
    counts what was said; from renew_from (ISO 8601, "": now) on its certificate is to be of the one of this number."""

    ca: str = ""
    edition: int = 0
    authority: int = 0
    renew_from: str = ""


@dataclass(frozen=True)
class Kept:
    """reply is the last by which the box was bound; has_files whether its certificates are written out as files."""

    thumbprint: str = ""  # of the identity key; "": there is none yet
    has_overlay_key: bool = False
    generation: Generation = Generation()
    request: KeptRequest | None = None
    reply: Reply | None = None
    has_files: bool = False
    trust: Trust = Trust()

    @property
    def is_answered(self) -> bool:
        """Whether the last request has its certificates."""
        return bool(self.request and self.reply and self.reply.request == self.request.digest)


def keep_request(data: bytes) -> KeptRequest:
    """The box's own request, from its bytes; its signature is its own and is not looked at."""
    request = read(Request, jose.peek(data.decode()), "the request")
    return KeptRequest(data, find_digest(data), request.generation_next, request.claim is None)
