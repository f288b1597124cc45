"""Whole companies on one machine, as they were rendered: every box, every PBX, telephones, and the public network.

Each Asterisk is a container with its own overlay address on one bridge whose subnet is the overlay's, so that the
rendered files work unchanged, and the watcher starts it as the rendered job says; Nomad, Consul, Vault and Nebula are
not there. Telephones (baresip) and lines reach the boxes over a second bridge, so that a link can be cut and the
office goes on.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from ritilib.clients.docker import Docker
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.debian import unpack_asterisk
from ritilib.devstack.images.programs import WATCHER, build_program
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company_files import FleetPlan, plan_fleet
from ritilib.devstack.telephony.contacts import wait_answers
from ritilib.devstack.telephony.node import Node
from ritilib.devstack.telephony.office import Images, remove_offices, wait_until
from ritilib.devstack.telephony.phone import Phone, start_phone
from ritilib.devstack.telephony.public import NAME as PUBLIC
from ritilib.devstack.telephony.public import Outside, find_modules, name_line, plan_public
from ritilib.devstack.telephony.trace import Map
from ritilib.errors import DevstackError, RitiError

PBX_IMAGE = "riti/pbx:dev"
SETTLED_S = 40.0
REGISTERED_S = 20.0
# multiples of 50 Hz, for the windows of audio.py; above Uruguay's signal tones of 425 Hz, below public.py's tones
FIRST_TONE_HZ, LAST_TONE_HZ, TONE_STEP_HZ = 500, 3300, 50

Report = Callable[[str], None]


@dataclass
class RunningFleet:
    """What runs. cuts counts, for each pair of nodes, the failures that let no packet pass between them.

    nodes: name ("box:acme/salto", "pbx:acme/salto", "public") → node; phones: (box, extension) → telephone; gateway is
    the host's own address on their bridge.
    """

    plan: FleetPlan
    outside: Outside
    label: str
    folder: Path
    docker: Docker
    report: Report
    gateway: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    phones: dict[tuple[str, str], Callee] = field(default_factory=dict)
    cuts: Counter[frozenset[str]] = field(default_factory=Counter)

    @property
    def map(self) -> Map:
        """What `trace_call` must know."""
        addresses = {node.name: node.plan.address for node in self.nodes.values()}
        return Map(
            nodes={address: name for name, address in addresses.items() if address},
            addresses=addresses,
            lines={line.box: name_line(self.outside.lines, line.box) for line in self.outside.lines},
            line_endpoint=self.outside.adapter.user,
        )

    def list_nodes(self, kind: str) -> list[Node]:
        """Those of a kind ("box", "pbx"), by name."""
        return [node for name, node in sorted(self.nodes.items()) if name.partition(":")[0] == kind]

    def wait_settled(self, timeout_s: float = SETTLED_S) -> None:
        """Return when every living Asterisk sees exactly those of its peers that can be reached.

        Peers that are not watched (qualify=no) count as seen. DevstackError names what differs.
        """
        try:
            wait_until(lambda: not self.find_unsettled(), timeout_s, "every peer is seen as it is")
        except DevstackError as error:
            differing = ", ".join(self.find_unsettled()) or "nothing, just now"
            raise DevstackError.because(f"{error.problems[0].what}: {differing}", "see the logs") from error

    def find_unsettled(self) -> list[str]:
        """ "box:acme/salto sees pbx:acme/salto as UNREACHABLE" for each peer whose state is not what it is to be."""
        names = self.map.nodes
        found = []
        for node in self.nodes.values():
            if not node.pid:
                continue
            seen = node.read_peers()
            for address in node.plan.peers:
                far = names.get(address, "")
                reachable = far in self.nodes and self.nodes[far].pid != 0 and not self.is_cut(node.name, far)
                state = seen.get(address, "absent")
                if state != "Unmonitored" and (state == "OK") != reachable:
                    found.append(f"{node.name} sees {far or address} as {state}")
        return found

    def is_cut(self, first: str, second: str) -> bool:
        """Whether a failure keeps these two nodes from each other."""
        return self.cuts[frozenset((first, second))] > 0

    def wait_contacts(self, boxes: Sequence[str]) -> None:
        """Have the lines of these boxes register, and return when these and their telephones answer their boxes."""
        for box in boxes:
            users = {plan.user for plan in self.plan.phones if plan.box == box}
            ask = self.nodes[f"box:{box}"].ask
            if box in self.map.lines:
                self.nodes[PUBLIC].ask(f"pjsip send register {self.map.lines[box]}")
                users.add(self.outside.adapter.user)
            wait_answers(ask, users, REGISTERED_S)

    def restart_phones(self, boxes: Sequence[str]) -> None:
        """Start the telephones of these boxes anew, and return when they are registered.

        A box that starts again has forgotten them, and they would notice only when their registration is due.
        """
        places = {(plan.box, plan.extension): place for place, plan in enumerate(self.plan.phones)}
        callees = [callee for (box, _), callee in self.phones.items() if box in boxes]
        for callee in callees:
            place = places[callee.box, callee.extension]
            callee.change_phone(partial(_start_phone, self, place))
        for callee in callees:
            callee.phone.wait_registered(REGISTERED_S)

    def stop(self) -> None:
        """End and remove all of it; what its Asterisks said stays in folder."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(Callee.stop, self.phones.values()))
            list(pool.map(self._stop_node, self.nodes.values()))
        self.phones.clear()
        self.nodes.clear()
        remove_offices(self.docker, self.label)

    def _stop_node(self, node: Node) -> None:
        with contextlib.suppress(RitiError):
            node.write_log(self.folder / "logs")
        self.docker.remove(node.container)


@contextmanager
def hold_fleet(
    docker: Docker,
    tree: Mapping[str, str],
    outside: Outside,
    folder: Path,
    label: str,
    report: Report,
    images: Images | None = None,
) -> Iterator[RunningFleet]:
    """Run every company of the tree (path → text, from `render_tree`), and end it with the context.

    folder (made) keeps logs and recordings; label marks containers and networks as riti.dev=<label>, and must be
    nobody else's: what an earlier run with this label left is removed first. Returns when every peer sees its own,
    and telephones and lines are registered. Raises GitopsError, ServerError or DevstackError.
    """
    fleet = RunningFleet(plan_fleet(tree), outside, label, folder, docker, report)
    remove_offices(docker, label)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _start(fleet, images or Images())
        yield fleet
    finally:
        fleet.stop()


def _start(fleet: RunningFleet, images: Images) -> None:
    docker, labels = fleet.docker, {"riti.dev": fleet.label}
    overlay, office = f"{fleet.label}-overlay", f"{fleet.label}-office"
    hosts = _make_networks(fleet, overlay, office, labels)
    fleet.gateway = next(hosts)
    watcher = {str(_build_watcher(fleet.report)): "/watcher"}
    for plan in fleet.plan.nodes:
        node = fleet.nodes[plan.name] = Node(plan, docker, fleet.label)
        node.volumes = watcher  # the images' may be another checkout's
        node.office_address = next(hosts) if plan.kind == "box" else ""
        node.kept = fleet.folder / "kept" if plan.kind == "box" else None
    if fleet.outside.lines:
        fleet.nodes[PUBLIC] = _plan_public(fleet, next(hosts))
    fleet.report(f"starting {len(fleet.nodes)} Asterisks")
    with ThreadPoolExecutor(8) as pool:
        # those first without which the others wait two seconds for their next look
        first = sorted(fleet.nodes.values(), key=lambda node: node.plan.kind != "pbx")
        chosen = [PBX_IMAGE if node.plan.kind == "pbx" else images.box for node in first]
        starts = [
            pool.submit(node.start, image, overlay, office, labels)
            for node, image in zip(first, chosen, strict=True)
        ]
        for start in starts:
            start.result()
    fleet.report(f"starting {len(fleet.plan.phones)} telephones")
    # one after the other: each looks for a free port
    for place in range(len(fleet.plan.phones)):
        callee = _start_callee(fleet, place)
        fleet.phones[callee.box, callee.extension] = callee
    for callee in fleet.phones.values():
        callee.phone.wait_registered(REGISTERED_S)
    fleet.wait_contacts(fleet.plan.boxes)
    fleet.wait_settled()


def _make_networks(
    fleet: RunningFleet, overlay: str, office: str, labels: Mapping[str, str]
) -> Iterator[str]:
    """Make both bridges; the addresses of the second, the host's own first."""
    docker, subnet = fleet.docker, fleet.plan.subnet
    # the host needs an address in the overlay too, and claims begin at the first
    own = str(subnet[-2])
    if own in {node.address for node in fleet.plan.nodes}:
        raise DevstackError.because(f"{own} is a box's: the overlay {subnet} is full", "take a wider one")
    docker.create_network(overlay, str(subnet), labels, own)
    # Docker finds a free subnet, but keeps addresses only where the subnet was given: a box that starts again
    # would get another one
    docker.create_network(office, None, labels)
    chosen = docker.find_subnet(office)
    docker.remove_network(office)
    docker.create_network(office, chosen, labels)
    return map(str, ip_network(chosen).hosts())


def _start_phone(fleet: RunningFleet, place: int) -> Phone:
    plan = fleet.plan.phones[place]
    name = f"{plan.box}-{plan.extension}".replace("/", "-")
    folder = fleet.folder / "phones" / name
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    server = fleet.nodes[f"box:{plan.box}"].office_address
    return start_phone(folder, name, server, fleet.gateway, plan.user, plan.password, choose_tone_hz(place))


def _start_callee(fleet: RunningFleet, place: int) -> Callee:
    plan = fleet.plan.phones[place]
    return Callee(plan.box, plan.extension, plan.user, choose_tone_hz(place), _start_phone(fleet, place))


def _build_watcher(report: Report) -> Path:
    go = shutil.which("go")
    if go is None:
        raise DevstackError.because("the watcher must be built, and there is no Go here", "put Go on PATH")
    return build_program(WATCHER, Path(go), find_cache() / "images", report)


def _plan_public(fleet: RunningFleet, address: str) -> Node:
    offices = {node.plan.unit: node.office_address for node in fleet.list_nodes("box")}
    plan = plan_public(fleet.outside, offices)
    modules = find_modules(unpack_asterisk(find_cache() / "images", fleet.report))
    return Node(plan, fleet.docker, fleet.label, office_address=address, volumes=modules)


def choose_tone_hz(place: int) -> int:
    """The tone of the telephone that stands at this place in the list; DevstackError where there are too many."""
    tones = range(FIRST_TONE_HZ, LAST_TONE_HZ, TONE_STEP_HZ)
    if place >= len(tones):
        raise DevstackError.because(
            f"there are tones for {len(tones)} telephones only", "take a smaller fleet"
        )
    return tones[place]
