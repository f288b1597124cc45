"""fleet/fleet.yaml as a frozen value."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, StrictBool, StringConstraints

from ritilib.fleet.controller_file import Controller
from ritilib.fleet.gateway_file import Gateway
from ritilib.fleet.inherited import Settings
from ritilib.fleet.kinds import (
    Address,
    EmergencyNumber,
    Frozen,
    ImageName,
    Network,
    Removal,
    SignerKey,
    Slug,
    TimeZone,
)


class Images(Frozen):
    """The container images that jobs name."""

    pbx: ImageName
    """Image of a PBX in the cloud: Asterisk."""
    box: ImageName
    """Image of Asterisk on a box in an office."""
    overlay: ImageName
    """Image of the overlay's end beside a PBX, and of lighthouses: Nebula."""


class Lighthouse(Frozen):
    """One lighthouse and relay of the overlay: where the public network finds it."""

    name: Slug
    """Its name in Nomad and in its certificate, such as `one`."""
    address: Address
    """Fixed address of the public network, outside the overlay."""
    port: Annotated[int, Field(ge=1, le=65535, strict=True)] = 4242
    """UDP port at that address."""


class Place(Frozen):
    """Nomad clients that say `riti.place` in their meta, and how many boxes' PBXes they carry together."""

    name: Slug
    """What the clients say as `riti.place` in their meta."""
    boxes: Annotated[int, Field(ge=1, strict=True)]
    """How many boxes' PBXes they carry together."""


class Rollout(Frozen):
    """The waves of PBXes to be replaced, and of boxes' images: canaries, a share of the others, the rest."""

    canaries: Annotated[int, Field(ge=1, le=100, strict=True)] = 1
    """How many boxes are first: those whose files say `canary: true`, and others while those are fewer."""
    share_percent: Annotated[int, Field(ge=1, le=100, strict=True)] = 20
    """How many of the others are next, in percent; the rest comes after them."""
    pause_min: Annotated[int, Field(ge=1, le=1440, strict=True)] = 10
    """How long each wave is watched before the next one begins, in minutes."""


class OverlayAuthority(Frozen):
    """Which authority signs the overlay's certificates; one more has the controller replace it, without an outage."""

    generation: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 1
    """Counts the authorities: `riti overlay rotate` counts it up. A smaller number takes nothing back."""
    at_once: StrictBool = False
    """Leave behind whoever is not there, since the key is known to others: `riti overlay show` lists them."""


class FleetFile(Settings):
    """fleet/fleet.yaml."""

    id: UUID
    """Made by `riti init` and written into the repository's first commit as well: it never changes."""
    name: Slug
    """Part of every name in Nomad, Consul and Vault: another name would be another fleet."""
    overlay: Network
    """The encrypted network between boxes, PBXes and lighthouses, such as 100.80.0.0/16; no office may use it."""
    overlay_authority: OverlayAuthority = OverlayAuthority()
    """Which authority signs the certificates of that network."""
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    """Two letters of the country whose telephone numbers and emergency numbers are meant, such as UY."""
    images: Images
    """The container images that jobs and boxes run."""
    lighthouses: Annotated[tuple[Lighthouse, ...], Field(min_length=1)]
    """Where boxes and PBXes find each other; have two, in different places."""
    timezone: TimeZone | None = None
    """Time zone of companies that say none, such as America/Montevideo."""
    places: tuple[Place, ...] = ()
    """Where PBXes may run, and how many; none: anywhere."""
    emergency: tuple[EmergencyNumber, ...] = ()
    """Emergency numbers, in quotes, besides those that the country is known to have."""
    removals: tuple[Removal, ...] = ()
    """Companies or offices that these files no longer hold, such as acme or acme/salto: they may go however many go."""
    removal_grace_min: Annotated[int, Field(ge=1, le=10080, strict=True)] = 10
    """Minutes for which what these files no longer hold runs on, so that a mistake can be taken back."""
    rollout: Rollout = Rollout()
    """In which waves PBXes are replaced, and boxes are told which image to run."""
    signers: tuple[SignerKey, ...] = ()
    """SSH public keys; the controller then applies only what one of them signed. None: whatever is merged."""
    controller: Controller | None = None
    """The sync controller as a Nomad job; none: it is run otherwise."""
    gateway: Gateway | None = None
    """Where boxes reach Consul and Vault, and what stands there; without it no box enrolls."""
