"""How each IAX2 link is watched and packed, derived from the office's way into the Internet."""

from __future__ import annotations

from dataclasses import dataclass

from ritilib.fleet.model import BoxSettings

# Asterisk dials no peer that answers later than `qualify`, so it stays well above the worst round trip that is usual.
QUALIFY_LEAST_MS = 500
QUALIFY_ROUND_TRIPS = 3
FREQUENCY_MS = 2000
# One peer asked every 2 s costs 2.9 kbit/s in the overlay (140 for 49, DESIGN); all of them together may cost this.
KBIT_S_PER_PEER = 2.9
KBIT_S_FOR_PEERS = 32.0
# From two calls up a trunk saves a thin line's bandwidth; elsewhere it only adds delay (TELEPHONY, The link).
THIN_KBIT_S = 512


@dataclass(frozen=True)
class Link:
    """Options of one peer in iax.conf; times in milliseconds."""

    qualify_ms: int
    frequency_ms: int
    trunk: bool


def derive_cloud_link(settings: BoxSettings) -> Link:
    """The link between a box and its own PBX; the same at both ends."""
    qualify_ms = max(QUALIFY_LEAST_MS, QUALIFY_ROUND_TRIPS * settings.round_trip_ms)
    thin = settings.kbit_s is not None and settings.kbit_s <= THIN_KBIT_S
    return Link(qualify_ms, FREQUENCY_MS, thin)


def derive_mesh_link() -> Link:
    """The link between two PBXes, which is between data centres at the worst."""
    return Link(QUALIFY_LEAST_MS, FREQUENCY_MS, False)


def derive_direct_link(one: BoxSettings, other: BoxSettings, peers: int) -> Link:
    """The link between two boxes of a company where each has so many peers: asked more seldom where they are many."""
    qualify_ms = max(QUALIFY_LEAST_MS, QUALIFY_ROUND_TRIPS * (one.round_trip_ms + other.round_trip_ms))
    crowding = max(1.0, peers * KBIT_S_PER_PEER / KBIT_S_FOR_PEERS)
    return Link(qualify_ms, round(FREQUENCY_MS * crowding), False)
