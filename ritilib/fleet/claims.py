"""Claims: each overlay address and each public number is a small file named by it.

Two pull requests that take the same one then conflict in Git itself. An address is never given back here, since
the PBX that had it may still run; a number follows the extension that says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ritilib.errors import Problem

CLAIMS_FOLDER = "fleet/claims/"
OVERLAY_FOLDER = f"{CLAIMS_FOLDER}overlay/"
NUMBER_FOLDER = f"{CLAIMS_FOLDER}number/"
_OWNER = re.compile(r"lighthouse/[a-z0-9-]+|[a-z0-9-]+/[a-z0-9-]+ (box|pbx-0|pbx-1)")


@dataclass(frozen=True)
class Claims:
    """owner → address of the overlay, such as "acme/montevideo pbx-0" → 100.80.0.3."""

    addresses: Mapping[str, IPv4Address]

    def find(self, owner: str) -> IPv4Address:
        return self.addresses[owner]


def name_owners(box_keys: Iterable[str], lighthouses: Iterable[str]) -> Iterator[str]:
    """Every owner of an overlay address, in the order in which free addresses are given out.

    A PBX owns a pair, because two instances of it may live for a while (DESIGN, The overlay).
    """
    for name in lighthouses:
        yield f"lighthouse/{name}"
    for key in sorted(box_keys):
        yield f"{key} box"
        yield f"{key} pbx-0"
        yield f"{key} pbx-1"


def read_claims(files: Mapping[str, bytes], network: IPv4Network) -> tuple[Claims, list[Problem]]:
    """The overlay's claims among the fleet's files, and what is wrong with them."""
    addresses: dict[str, IPv4Address] = {}
    problems: list[Problem] = []
    for path in sorted(files):
        if not path.startswith(OVERLAY_FOLDER) or path.endswith(".gitkeep"):
            continue
        owner = files[path].decode("utf-8", "replace").strip()
        try:
            address = IPv4Address(path.removeprefix(OVERLAY_FOLDER))
        except ValueError:
            what, mend = "its name is no IPv4 address", "remove the file and render again"
            problems.append(Problem(path, 0, 0, what, mend, "claim-name"))
            continue
        if address not in network:
            mend = "remove the file and render again, or give the overlay its former network back"
            what = f"{address} is outside the overlay {network}"
            problems.append(Problem(path, 0, 0, what, mend, "claim-outside"))
        elif not _is_host(address, network):
            what, mend = f"{address} is no host's address in {network}", "remove the file and render again"
            problems.append(Problem(path, 0, 0, what, mend, "claim-name"))
        elif not _OWNER.fullmatch(owner):
            what = "names no owner, such as `acme/salto box`, `acme/salto pbx-0` or `lighthouse/one`"
            mend = "bring it back from the history: git log -- fleet/claims; what has an address keeps it"
            problems.append(Problem(path, 1, 1, what, mend, "claim-owner"))
        elif owner in addresses:
            what, mend = f"`{owner}` owns {addresses[owner]} already", "remove the younger of the two files"
            problems.append(Problem(path, 1, 1, what, mend, "claim-twice"))
        else:
            addresses[owner] = address
    return Claims(addresses), problems


def _is_host(address: IPv4Address, network: IPv4Network) -> bool:
    """Whether it is one of network.hosts(), which may be too many to list."""
    if network.prefixlen >= 31:  # a pair of hosts, or one (RFC 3021)
        return True
    return address not in (network.network_address, network.broadcast_address)


def complete_claims(
    claims: Claims, owners: Iterable[str], network: IPv4Network, taken: frozenset[str] = frozenset()
) -> tuple[Claims, list[Problem]]:
    """The claims with the lowest free address for each owner that has none; a problem where the network is full.

    taken are addresses, as text, of owners that are not among the claims.
    """
    addresses = dict(claims.addresses)
    given = taken.union(map(str, addresses.values()))
    free = (address for address in network.hosts() if str(address) not in given)
    problems: list[Problem] = []
    for owner in owners:
        if owner in addresses:
            continue
        address = next(free, None)
        if address is None:
            what = f"the overlay {network} has no address left for `{owner}`"
            mend = "give `overlay` a larger network"
            problems.append(Problem("fleet/fleet.yaml", 0, 0, what, mend, "overlay-full"))
            break
        addresses[owner] = address
    return Claims(addresses), problems


def write_claims(claims: Claims, numbers: Mapping[str, str]) -> dict[str, str]:
    """path → text of every claim; numbers maps an E.164 number to its owner ("acme/montevideo 101")."""
    files = {f"{OVERLAY_FOLDER}{address}": f"{owner}\n" for owner, address in claims.addresses.items()}
    files |= {f"{NUMBER_FOLDER}{number}": f"{owner}\n" for number, owner in numbers.items()}
    return files
