"""Real Nebula with what RITI renders, at every place where an office's or a PBX's overlay may be.

Each member is one process in a namespace of its own; Nomad, Consul, Vault and Asterisk are not there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.devstack.folders import write_private
from ritilib.devstack.overlay.networks import (
    CARRIER,
    NOMAD,
    UPLINK,
    Host,
    Internet,
    Nat,
    Router,
    Segment,
    hold_internet,
)
from ritilib.devstack.overlay.probe import Capture, Stream, carries_data, hold_capture
from ritilib.devstack.processes import Process, end_process, start_process, wait_until
from ritilib.errors import DevstackError
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree

COMPANY = "acme"
LIGHTHOUSES = {"one": "203.0.113.1", "two": "203.0.113.2"}
LIGHTHOUSE_PORT, PBX_PORT, MAPPED_PORT = 4242, 4242, 20000
INTERFACE = "riti"
UP_S, END_S = 15.0, 5.0
CERTIFICATE_HOURS = 24
DIRECT, RELAYED = "direct", "relay"

_FLEET = """\
id: 6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11
name: nat
overlay: 100.80.0.0/16
country: UY
images: {pbx: riti/pbx:dev, box: riti/box:dev, overlay: riti/overlay:dev}
lighthouses:
"""
_OVERLAY_OF_JOB = re.compile(r'destination += "local/overlay\.yml".*?<<EOT\n(.*?)\nEOT\n', re.DOTALL)
_BLOCK_LIST = re.compile(
    r"^ *blocklist:\n *\{\{.*?\}\}$.*?\{\{ end \}\}\{\{ end \}\}\n", re.MULTILINE | re.DOTALL
)
_PUBLISHED = '{{ env "RITI_PUBLIC_ADDR" }}:{{ env "NOMAD_HOST_PORT_nebula" }}'


@dataclass(frozen=True)
class Place:
    """Where a member is: the routers between the Internet and it, the outermost first; none: on the Internet.

    A router is (name, kind); one that is named twice is the same one. kind is the router's, of networks.Nat.
    """

    routers: tuple[tuple[str, Nat], ...] = ()


@dataclass
class Member:
    """A running member. published: where the public network finds it, where that is fixed."""

    name: str
    host: Host
    address: str
    folder: Path
    program: Path
    published: str = ""
    process: Process | None = None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise DevstackError.because(f"{self.name} does not run", "start it")
        return self.process.pid

    def start(self) -> None:
        """Run its Nebula, and return when its interface is up."""
        ip = shutil.which("ip") or "ip"
        inside = [ip, "netns", "exec", self.host.namespace]
        log = self.folder / "log"
        argv = [*inside, str(self.program), "-config", str(self.folder / "overlay.yml")]
        self.process = start_process(argv, log)
        place = Path(f"/proc/{self.process.pid}/net/dev")

        def is_up() -> bool:
            try:
                return f"{INTERFACE}:" in place.read_text()
            except OSError:
                return False  # the program has ended: its log says why

        wait_until(is_up, UP_S, f"{self.name} is up", log, self.process)

    def stop(self) -> None:
        end_process(self.process, END_S)
        self.process = None


@dataclass
class OverlayLab:
    """members: "box:<office>", "pbx:<office>", "lighthouse:<name>" → member."""

    internet: Internet
    folder: Path
    members: dict[str, Member] = field(default_factory=dict)
    routers: dict[str, Router] = field(default_factory=dict)

    def stream(self, caller: str, callee: str) -> Stream:
        return Stream(self.members[caller].pid, self.members[callee].address)

    def restart(self, *names: str) -> None:
        """Have these members know nobody: all of them are away before one of them begins."""
        for name in names:
            self.members[name].stop()
        for name in names:
            self.members[name].start()

    def watch(self, caller: str) -> AbstractContextManager[Capture]:
        """What passes the caller's cable."""
        return hold_capture(self.members[caller].pid, UPLINK)


def describe_way(capture: Capture, own: str) -> str:
    """DIRECT, RELAYED or "" (not one way), by where a caller's packets go: to lighthouses, or to somebody else.

    own: the caller's address on that cable.
    """
    leaving = [packet for packet in capture.packets if packet.source == own and carries_data(packet)]
    ways = Counter(
        RELAYED if packet.target in LIGHTHOUSES.values() else DIRECT for packet in leaving
    ).most_common()
    return ways[0][0] if len(ways) == 1 else ""


@contextmanager
def hold_overlay_lab(
    nebula: Path,
    nebula_cert: Path,
    folder: Path,
    boxes: Mapping[str, Place],
    pbxes: Mapping[str, Place],
    edit: Callable[[str], str] = str,
) -> Iterator[OverlayLab]:
    """Two lighthouses, and the boxes and PBXes of the offices that are named, all of one company, all running.

    pbxes: office → where its Nomad client is; the PBX itself is behind that client's mapped port. edit changes each
    rendered overlay.yml, for what is to be compared. DevstackError where one does not come up, with its log.
    """
    tree = _render(sorted(boxes.keys() | pbxes.keys()))
    tool = OverlayTool(nebula_cert)
    authority = tool.make_authority("laboratory", 2 * CERTIFICATE_HOURS)
    with hold_internet("riti-nat") as internet:
        lab = OverlayLab(internet, folder)

        def add(name: str, unit: str, part: str, host: Host, published: str = "") -> None:
            text = edit(_read_overlay(tree, unit, part, published))
            place = folder / name.replace(":", "-")
            identity = json.loads(tree[f"rendered/{unit}/{part}/secrets.json"])["overlay"]
            _write_member(place, text, identity, tool, authority)
            address = identity["network"].split("/")[0]
            lab.members[name] = Member(name, host, address, place, nebula, published)

        try:
            for name in LIGHTHOUSES:  # they take the first addresses
                host = internet.add_host(f"lighthouse-{name}")
                add(f"lighthouse:{name}", f"_fleet/lighthouse-{name}", "pbx", host)
            for name, place in pbxes.items():
                host, published = _add_pbx(lab, name, place)
                add(f"pbx:{name}", f"{COMPANY}/{name}", "pbx", host, published)
            for name, place in boxes.items():
                host = internet.add_host(f"box-{name}", _add_routers(lab, place))
                add(f"box:{name}", f"{COMPANY}/{name}", "box", host)
            for member in lab.members.values():
                member.start()
            yield lab
        finally:
            for member in lab.members.values():
                member.stop()


def _add_routers(lab: OverlayLab, place: Place) -> Segment | None:
    behind = None
    for depth, (name, nat) in enumerate(place.routers):
        if name not in lab.routers:
            subnet = [CARRIER] if depth + 1 < len(place.routers) else []
            lab.routers[name] = lab.internet.add_router(name, nat, behind, *subnet)
        behind = lab.routers[name].inside
    return behind


def _add_pbx(lab: OverlayLab, name: str, place: Place) -> tuple[Host, str]:
    """The PBX's host, and what its Nomad client says of itself: the address at which the Internet sees it."""
    internet, behind = lab.internet, _add_routers(lab, place)
    client = internet.add_router(f"client-{name}", "cone", behind, NOMAD)
    host = internet.add_host(f"pbx-{name}", client.inside)
    internet.forward(client, host, MAPPED_PORT, PBX_PORT)
    seen = lab.routers[place.routers[0][0]] if place.routers else client
    return host, f"{seen.outside}:{MAPPED_PORT}"


def _render(offices: list[str]) -> dict[str, str]:
    lighthouses = "".join(
        f"  - {{name: {name}, address: {address}, port: {LIGHTHOUSE_PORT}}}\n"
        for name, address in LIGHTHOUSES.items()
    )
    files = {
        "fleet/fleet.yaml": f"{_FLEET}{lighthouses}start: on-merge\n",
        f"fleet/companies/{COMPANY}.yaml": "name: Acme S.A.\n",
    }
    for place, office in enumerate(offices):
        text = f'name: {office}\nextensions:\n  - {{number: "{101 + place}", name: Phone, phone: sip}}\n'
        files[f"fleet/boxes/{COMPANY}/{office}.yaml"] = text
    content = {path: text.encode() for path, text in files.items()}
    return render_tree(load_fleet(content), content, "laboratory")


def _read_overlay(tree: Mapping[str, str], unit: str, part: str, published: str) -> str:
    """The rendered overlay.yml: a box's as it is, a job's as Nomad's template writes it, with an empty block list."""
    if part == "box":
        return tree[f"rendered/{unit}/box/overlay.yml"]
    found = _OVERLAY_OF_JOB.search(tree[f"rendered/{unit}/pbx/job.nomad.hcl"])
    if found is None:
        raise DevstackError.because(f"the job of {unit} has no overlay.yml", "see jobs/parts")
    text = _BLOCK_LIST.sub("", found[1]).replace(_PUBLISHED, published)
    if "{{" in text:
        raise DevstackError.because(f"the overlay.yml of {unit} asks what is not known here", "see lab.py")
    return text


def _write_member(
    folder: Path, overlay: str, identity: Mapping[str, Any], tool: OverlayTool, authority: Authority
) -> None:
    """Its folder, with its keys beside its configuration, which is told so."""
    folder.mkdir(mode=0o700, parents=True)
    key = tool.make_key()
    groups = tuple(identity["groups"])
    crt = tool.sign(authority, key.public, identity["name"], identity["network"], groups, CERTIFICATE_HOURS)
    texts = {
        "overlay.yml": re.sub(r"(?<=: )/(overlay|secrets|local)/", f"{folder}/", overlay),
        "ca.crt": authority.crt,
        "host.crt": crt,
        "host.key": key.private,
    }
    for name, text in texts.items():
        write_private(folder / name, text)
