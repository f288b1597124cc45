"""What lies on a card for one box: its claim, and where and by whose certificate the gateway is met."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from ritilib.enroll.claim import Claim, name_audience, peek_claim
from ritilib.enroll.words import Pem, Sent, read
from ritilib.errors import EnrollError
from ritilib.fleet.kinds import SLUG_PATTERN
from ritilib.render.names import UnitNames

CLAIM_FILE = "claim.jwt"
JOIN_FILE = "join.json"
Gateway = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.:\[\]-]+$", max_length=200)]


class Join(Sent):
    """join.json: unit is "acme/salto", gateway each address of it, ca the PEM of the authority of its certificate."""

    fleet: Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
    fleet_id: str
    unit: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
    gateway: Annotated[list[Gateway], Field(min_length=1)]
    ca: Pem
    datacenter: str = ""

    @property
    def names(self) -> UnitNames:
        company, box = self.unit.split("/")
        return UnitNames(self.fleet, company, box)


def read_card(join: bytes, claim: str) -> tuple[Join, Claim]:
    """The two files of a card, that must speak of the same box. EnrollError where they do not or cannot be read."""
    held = read(Join, join, f"the card's {JOIN_FILE}")
    said = peek_claim(claim.strip())
    if said.unit != held.names.job_id or said.aud != name_audience(held.fleet_id):
        what = f"the card's {CLAIM_FILE} and {JOIN_FILE} are not of the same box"
        raise EnrollError.because(what, "write the card again: riti box claim")
    return held, said
