"""Routers as offices have them, and hosts behind them: each a network namespace, joined to a small Internet.

Nothing of it touches the machine's own network: its addresses are those that documentation may use (RFC 5737), and
every office has the same 192.168.1.0/24 inside, as offices do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

from ritilib.devstack.network import run
from ritilib.devstack.overlay.sockets import run_inside

# What a router does with the port by which an office's packets leave, and whom it lets in by it:
# cone: the same one for everybody (as Linux's masquerading has it), in come only those to whom something was sent;
# open: the same one, and in comes whoever sends (a "full cone", an address that is translated one to one);
# symmetric: another random one for each destination, in comes that destination alone (carriers, hotels).
Nat = Literal["cone", "open", "symmetric"]
INTERNET = IPv4Network("203.0.113.0/24")
OFFICE = IPv4Network("192.168.1.0/24")
CARRIER = IPv4Network("100.127.0.0/24")  # of RFC 6598's addresses, and no part of the laboratory's overlay
NOMAD = IPv4Network("10.94.0.0/20")  # a client's bridge
UPLINK, BRIDGE = "eth0", "inside"


@dataclass
class Segment:
    """A bridge in a namespace and the addresses that it still has; gateway: who leads out of it, "" on the Internet."""

    namespace: str
    subnet: IPv4Network
    gateway: str = ""

    def __post_init__(self) -> None:
        self._hosts = self.subnet.hosts()

    def take_address(self) -> str:
        return str(next(self._hosts))


@dataclass(frozen=True)
class Router:
    """outside: its address towards the Internet (or towards its carrier); inside: where its hosts are."""

    namespace: str
    outside: str
    inside: Segment


@dataclass(frozen=True)
class Host:
    """A machine with one interface, eth0."""

    namespace: str
    address: str


@dataclass
class Internet:
    """Hosts and routers, made one after the other; routers know no way to each other's insides."""

    label: str
    segment: Segment
    made: list[str] = field(default_factory=list)

    def add_host(self, name: str, segment: Segment | None = None) -> Host:
        """A host of the Internet, or of the inside of a router."""
        namespace = self._add_namespace(name)
        return Host(namespace, self._join(namespace, segment or self.segment))

    def add_router(
        self, name: str, nat: Nat, behind: Segment | None = None, subnet: IPv4Network = OFFICE
    ) -> Router:
        """A router at the Internet, or behind another one (a carrier's)."""
        namespace = self._add_namespace(name)
        outside = self._join(namespace, behind or self.segment)
        inside = Segment(namespace, subnet)
        inside.gateway = inside.take_address()
        _add_bridge(namespace, f"{inside.gateway}/{subnet.prefixlen}")
        run_inside(f"/run/netns/{namespace}", lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        _translate(namespace, nat, str(subnet[2]))
        return Router(namespace, outside, inside)

    def forward(self, router: Router, host: Host, port: int, to: int) -> None:
        """Lead a UDP port of the router's outside to one of a host: what Nomad's mapped ports are made of."""
        led = ["-p", "udp", "--dport", str(port), "-j", "DNAT", "--to-destination", f"{host.address}:{to}"]
        _filter(router.namespace, "-t", "nat", "-A", "PREROUTING", "-i", UPLINK, *led)
        _filter(router.namespace, "-A", "FORWARD", "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT")

    def remove(self) -> None:
        for namespace in reversed(self.made):
            run("ip", "netns", "delete", namespace)
        self.made.clear()

    def _add_namespace(self, name: str) -> str:
        namespace = f"{self.label}-{name}"
        run("ip", "netns", "add", namespace)
        self.made.append(namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace

    def _join(self, namespace: str, segment: Segment) -> str:
        address = segment.take_address()
        cable = f"to-{address.rpartition('.')[2]}"
        far = ["peer", "name", cable, "netns", segment.namespace]
        run("ip", "link", "add", UPLINK, "netns", namespace, "type", "veth", *far)
        run("ip", "-n", segment.namespace, "link", "set", cable, "master", BRIDGE, "up")
        run("ip", "-n", namespace, "link", "set", UPLINK, "up")
        run("ip", "-n", namespace, "address", "add", f"{address}/{segment.subnet.prefixlen}", "dev", UPLINK)
        if segment.gateway:
            run("ip", "-n", namespace, "route", "add", "default", "via", segment.gateway)
        return address


@contextmanager
def hold_internet(label: str) -> Iterator[Internet]:
    """An Internet without anybody; all that was added to it is removed with the context. Needs root."""
    label = f"{label}-{os.getpid()}"
    internet = Internet(label, Segment("", INTERNET))
    try:
        internet.segment.namespace = internet._add_namespace("internet")
        _add_bridge(internet.segment.namespace, "")
        yield internet
    finally:
        internet.remove()


def _add_bridge(namespace: str, address: str) -> None:
    run("ip", "-n", namespace, "link", "add", BRIDGE, "type", "bridge")
    if address:
        run("ip", "-n", namespace, "address", "add", address, "dev", BRIDGE)
    run("ip", "-n", namespace, "link", "set", BRIDGE, "up")


def _translate(namespace: str, nat: Nat, first: str) -> None:
    ports = ["--random-fully"] if nat == "symmetric" else []
    _filter(namespace, "-t", "nat", "-A", "POSTROUTING", "-o", UPLINK, "-j", "MASQUERADE", *ports)
    # What is let in is an answer. The rest is dropped unseen: a refusal would leave a trace by which the kernel takes
    # another port for the office's own packet to the same place.
    _filter(namespace, "-P", "INPUT", "DROP")
    _filter(namespace, "-P", "FORWARD", "DROP")
    _filter(namespace, "-A", "FORWARD", "-i", BRIDGE, "-j", "ACCEPT")
    _filter(namespace, "-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
    if nat == "open":
        # the whole address is that of the first host inside
        led = ["-p", "udp", "-j", "DNAT", "--to-destination", first]
        _filter(namespace, "-t", "nat", "-A", "PREROUTING", "-i", UPLINK, *led)
        _filter(namespace, "-A", "FORWARD", "-d", first, "-j", "ACCEPT")


def _filter(namespace: str, *arguments: str) -> None:
    run("ip", "netns", "exec", namespace, "iptables", "-w", *arguments)
