"""The controller's answer to a box's request: nothing in it is secret, so it may be read again as often as need be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ritilib.enroll.words import Sent, Words, read

State = Literal["bound", "waiting", "denied", "conflict"]


class Reply(Sent):
    """request is the digest of the request that it answers; renew_at (ISO 8601) and certificates come with "bound".

    identity is the chain of the certificate for Vault and Consul, overlay_crt and overlay_ca are Nebula's: the latter
    may hold two authorities. overlay_edition counts what is told of them, overlay_authority is who signed.
    """

    request: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    state: State
    why: Words = ""
    identity: str = ""
    overlay_crt: str = ""
    overlay_ca: str = ""
    overlay_edition: int = 1
    overlay_authority: int = 1
    renew_at: str = ""


def read_reply(data: bytes) -> Reply:
    """EnrollError where it is none."""
    return read(Reply, data, "the controller's reply")
