"""The way that a call really took, hop by hop, from what each Asterisk on it says of its channels while it is up.

Every step is exact, whatever else is going on: inside an Asterisk the two channels of a bridge; over IAX2 the call
numbers of both ends, of which each knows the other's; over a line its name, since a line has one call at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ritilib.devstack.telephony.public import NAME as PUBLIC

_IAX = re.compile(r"^\S+ +(\d+\.\d+\.\d+\.\d+) .*? (\d{5})/(\d{5}) ", re.MULTILINE)
_MOST_HOPS = 16
COMMANDS = ("core show channels concise", "iax2 show channels")

Ask = Callable[[str], str]


@dataclass(frozen=True)
class Channel:
    """One channel; bridge is "" while nobody is connected to it."""

    name: str
    context: str
    exten: str
    state: str
    application: str
    data: str
    bridge: str

    @property
    def peer(self) -> str:
        """What it is a call with: "cloud" of IAX2/cloud-123, "phone-101" of PJSIP/phone-101-0000000a."""
        return self.name.partition("/")[2].rpartition("-")[0]

    @property
    def number(self) -> int:
        """The IAX2 call number at this end."""
        return int(self.name.rpartition("-")[2])


@dataclass(frozen=True)
class Leg:
    """An IAX2 call of one Asterisk: the peer's address, and the call's number here and there."""

    peer: str
    local: int
    remote: int


@dataclass(frozen=True)
class Snapshot:
    """The channels and IAX2 calls of one Asterisk at one moment."""

    channels: tuple[Channel, ...]
    legs: tuple[Leg, ...]

    def find(self, prefix: str) -> Channel | None:
        """The one channel whose name starts so (with its serial number after a dash)."""
        found = [one for one in self.channels if one.name.rpartition("-")[0] == prefix]
        return found[0] if len(found) == 1 else None

    def find_partner(self, channel: Channel) -> Channel | None:
        """The other channel of its bridge."""
        found = [one for one in self.channels if one.bridge == channel.bridge and one.name != channel.name]
        return found[0] if channel.bridge and len(found) == 1 else None


@dataclass(frozen=True)
class Trace:
    """hops as far as the call is connected; phone is the endpoint at its end ("phone-201" at the last hop).

    Where it ends in an Asterisk instead, phone is "" and end is that channel, which runs an application.
    """

    hops: tuple[str, ...]
    phone: str = ""
    end: Channel | None = None

    @property
    def box(self) -> str:
        """The last hop without its kind: "acme/salto"."""
        return self.hops[-1].partition(":")[2]


@dataclass(frozen=True)
class Map:
    """What a trace must know: overlay address → node, box → name of its line in the public network, line's endpoint."""

    nodes: Mapping[str, str]
    addresses: Mapping[str, str]
    lines: Mapping[str, str]
    line_endpoint: str = "line"


def trace_call(box: str, phone: str, known: Map, ask: Ask) -> Trace:
    """Follow the one call of a telephone (its endpoint, "phone-101") of box; ask: node → answer to COMMANDS."""
    node = f"box:{box}"
    hops = [node]
    snapshot = read_snapshot(ask(node))
    channel = snapshot.find(f"PJSIP/{phone}")
    while channel is not None and len(hops) < _MOST_HOPS:
        partner = snapshot.find_partner(channel)
        if partner is None:
            return Trace(tuple(hops), end=channel)
        crossing = _cross(node, partner, snapshot, known)
        if crossing is None:
            return Trace(tuple(hops), phone=partner.peer)
        way, node, find = crossing
        hops += [*way, node]
        snapshot = read_snapshot(ask(node))
        channel = find(snapshot)
    return Trace(tuple(hops))


def read_snapshot(said: str) -> Snapshot:
    """From the answers to COMMANDS."""
    channels = []
    for line in said.splitlines():
        fields = line.split("!")
        if len(fields) < 14 or "/" not in fields[0]:
            continue
        # what an application was given may hold a "!"; the last seven fields are counted from the end
        name, context, exten, _, state, application = fields[:6]
        channels.append(Channel(name, context, exten, state, application, "!".join(fields[6:-7]), fields[-2]))
    legs = [Leg(peer, int(local), int(remote)) for peer, local, remote in _IAX.findall(said)]
    return Snapshot(tuple(channels), tuple(legs))


Find = Callable[[Snapshot], Channel | None]


def _cross(node: str, partner: Channel, snapshot: Snapshot, known: Map) -> tuple[list[str], str, Find] | None:
    """From a node by its outgoing channel: the hops between, the next node, its channel; None for a telephone."""
    if partner.name.startswith("IAX2/"):
        leg = next((one for one in snapshot.legs if one.local == partner.number), None)
        far = known.nodes.get(leg.peer) if leg else None
        if leg is None or far is None:
            return [], "nowhere", lambda _: None
        here = known.addresses[node]
        return [], far, lambda there: _find_leg(there, here, leg)
    if node == PUBLIC:
        box = next(one for one, name in known.lines.items() if name == partner.peer)
        return [f"line:{box}"], f"box:{box}", lambda there: there.find(f"PJSIP/{known.line_endpoint}")
    if partner.peer == known.line_endpoint:
        box = node.partition(":")[2]
        return [f"line:{box}"], PUBLIC, lambda there: there.find(f"PJSIP/{known.lines[box]}")
    return None


def _find_leg(there: Snapshot, here: str, leg: Leg) -> Channel | None:
    """The far end's channel of the IAX2 call that is `leg` at the address here."""
    found = Leg(here, leg.remote, leg.local) in there.legs
    match = [c for c in there.channels if c.name.startswith("IAX2/") and c.number == leg.remote]
    return match[0] if found and match else None
