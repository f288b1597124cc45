"""How each IAX2 link is watched and packed, derived from the office's way into the Internet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ritilib.fleet.model import BoxSettings

# Asterisk dials no peer that answers later than `qualify`, so it stays well above the worst round trip that is usual. A
# call that nothing answers is given up after twice that time: what is too long is paid by the first call after a cut.
QUALIFY_LEAST_MS = 200
QUALIFY_ROUND_TRIPS = 3
QUALIFY_UNKNOWN_MS = 500  # where nobody has said what the line is like
FREQUENCY_MS = 1000
MESH_QUALIFY_MS = 250  # data centres, at the worst in two countries
MESH_FREQUENCY_MS = 2000  # each PBX asks every other of its company
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
    trunk: bool = False

    @property
    def memory_s(self) -> int:
        """How long a call's finding that the peer does not answer holds: until Asterisk must know it too.

        It asks once in frequency_ms, and gives the peer up 5/6 of that later (measured, Asterisk 22.10.1).
        """
        return math.ceil(self.frequency_ms * 11 / 6 / 1000) + 1  # EPOCH counts whole seconds


def derive_cloud_link(settings: BoxSettings) -> Link:
    """The link between a box and its own PBX; the same at both ends."""
    thin = settings.kbit_s is not None and settings.kbit_s <= THIN_KBIT_S
    return Link(_derive_qualify_ms(settings.round_trip_ms), FREQUENCY_MS, thin)


def derive_mesh_link() -> Link:
    """The link between two PBXes."""
    return Link(MESH_QUALIFY_MS, MESH_FREQUENCY_MS)


def derive_direct_link(one: BoxSettings, other: BoxSettings, peers: int) -> Link:
    """The link between two boxes of a company where each has so many peers: asked more seldom where they are many."""
    known = one.round_trip_ms is not None and other.round_trip_ms is not None
    # each office's figure is to a PBX; box to box is at the worst the way to one and back to the other
    both_ms = (one.round_trip_ms or 0) + (other.round_trip_ms or 0) if known else None
    crowding = max(1.0, peers * KBIT_S_PER_PEER / KBIT_S_FOR_PEERS)
    return Link(_derive_qualify_ms(both_ms), round(MESH_FREQUENCY_MS * crowding))


def _derive_qualify_ms(round_trip_ms: int | None) -> int:
    if round_trip_ms is None:
        return QUALIFY_UNKNOWN_MS
    return max(QUALIFY_LEAST_MS, QUALIFY_ROUND_TRIPS * round_trip_ms)
