"""Failures of a running fleet as values, each made for as long as a context lasts, and healed at its end.

Packets are dropped where they come in, at both ends: a drop on the way out would tell the sender at once, and make
every figure too good. Phones and lines are on another bridge and go on.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations

from ritilib.devstack.processes import PATH
from ritilib.devstack.telephony.company import RunningFleet
from ritilib.devstack.telephony.node import Node
from ritilib.devstack.telephony.public import NAME as PUBLIC
from ritilib.devstack.telephony.public import name_line
from ritilib.errors import DevstackError


@dataclass(frozen=True)
class LinkCut:
    """A box's link: nothing passes between it and anybody else in the overlay."""

    box: str


@dataclass(frozen=True)
class MeshCut:
    """Nothing passes between the PBXes of two boxes."""

    first: str
    second: str


@dataclass(frozen=True)
class PathCut:
    """Nothing passes between two nodes ("box:acme/salto", "pbx:acme/salto"); their other ways are whole."""

    first: str
    second: str


@dataclass(frozen=True)
class CloudCut:
    """Nothing passes to or from any PBX; boxes still reach each other."""


@dataclass(frozen=True)
class PbxDead:
    """PBXes killed (SIGKILL): one, or all those of a host."""

    boxes: tuple[str, ...]


@dataclass(frozen=True)
class BoxDead:
    """A box killed (SIGKILL)."""

    box: str


@dataclass(frozen=True)
class LineDead:
    """An office's own line has no current: its adapter refuses calls, and callers of it hear ringing."""

    box: str


Failure = LinkCut | MeshCut | PathCut | CloudCut | PbxDead | BoxDead | LineDead


@contextmanager
def hold_failure(fleet: RunningFleet, failure: Failure, settle: bool = True) -> Iterator[None]:
    """Make the failure; at the end, heal it and wait until every peer, telephone and line is there again.

    The seconds for which dial plans remember a silent peer are over then too.

    settle: first wait until all that is left has noticed; without it the first call meets peers that look alive.
    Raises DevstackError where the kernel refuses or a peer does not come back.
    """
    if isinstance(failure, LineDead):
        with _hold_line_dead(fleet, failure.box):
            yield
        return
    dead = [fleet.nodes[name] for name in _list_dead(failure)]
    pairs = {frozenset(pair) for pair in _list_cut(fleet, failure)}
    with _hold_dead(fleet, dead), _hold_cut(fleet, pairs):
        if settle:
            fleet.wait_settled()
        yield
    boxes = [node.plan.unit for node in dead if node.plan.kind == "box"]
    if boxes:
        fleet.restart_phones(boxes)
        fleet.wait_contacts(boxes)
    fleet.wait_settled()
    _forget_silence(fleet)


def _forget_silence(fleet: RunningFleet) -> None:
    """Let pass, at once, the seconds for which the dial plans remember a peer that a call found silent."""
    for node in (*fleet.list_nodes("box"), *fleet.list_nodes("pbx")):
        for name in re.findall(r"^\s*(AWAY_\S*?)=[1-9]", node.ask("dialplan show globals"), re.MULTILINE):
            node.ask(f"dialplan set global {name} 0")


def _list_dead(failure: Failure) -> tuple[str, ...]:
    match failure:
        case PbxDead(boxes):
            return tuple(f"pbx:{box}" for box in boxes)
        case BoxDead(box):
            return (f"box:{box}",)
    return ()


def _list_cut(fleet: RunningFleet, failure: Failure) -> Iterable[tuple[str, str]]:
    overlay = [node.name for kind in ("box", "pbx") for node in fleet.list_nodes(kind)]
    match failure:
        case LinkCut(box):
            return [(f"box:{box}", other) for other in overlay if other != f"box:{box}"]
        case MeshCut(first, second):
            return [(f"pbx:{first}", f"pbx:{second}")]
        case PathCut(first, second):
            return [(first, second)]
        case CloudCut():
            return [
                pair for pair in combinations(overlay, 2) if any(name.startswith("pbx:") for name in pair)
            ]
    return []


@contextmanager
def _hold_dead(fleet: RunningFleet, nodes: list[Node]) -> Iterator[None]:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Node.kill, nodes))
        try:
            yield
        finally:
            list(pool.map(Node.revive, nodes))
            _write_drops(fleet, {node.name for node in nodes})


@contextmanager
def _hold_cut(fleet: RunningFleet, pairs: Collection[frozenset[str]]) -> Iterator[None]:
    ends = set().union(*pairs)
    fleet.cuts.update(pairs)
    try:
        _write_drops(fleet, ends)
        yield
    finally:
        fleet.cuts.subtract(pairs)
        _write_drops(fleet, ends)


def _write_drops(fleet: RunningFleet, names: Collection[str]) -> None:
    """Make the packet filter of each of these, as far as it lives, drop what comes in over a cut, and nothing else."""

    def write(node: Node) -> None:
        sources = [
            fleet.nodes[far].plan.address for far in sorted(fleet.nodes) if fleet.is_cut(node.name, far)
        ]
        rules = "".join(f"-A INPUT -s {address} -j DROP\n" for address in sources)
        done = subprocess.run(
            ["nsenter", f"--target={node.pid}", "--net", "--", "iptables-restore", "--wait"],
            input=f"*filter\n:INPUT ACCEPT\n{rules}COMMIT\n",
            env={"PATH": PATH, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DevstackError.because(
                f"rules of {node.name}: {done.stderr.strip()}", "it needs root and a running container"
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [node for name in names if (node := fleet.nodes[name]).pid]))


@contextmanager
def _hold_line_dead(fleet: RunningFleet, box: str) -> Iterator[None]:
    name = f"{name_line(fleet.outside.lines, box)}_dead"
    public = fleet.nodes[PUBLIC]
    public.ask(f"dialplan set global {name} 1")
    try:
        yield
    finally:
        public.ask(f"dialplan set global {name} 0")
