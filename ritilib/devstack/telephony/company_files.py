"""What each Asterisk of a rendered fleet needs to run without Nomad and Vault: its address and its folders.

Pure. The folders hold what the job's templates and the box's agent would have written, with secrets that are computed
from the names of both ends, so that the ends agree.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from ritilib.box.compose import compose_box
from ritilib.box.start import START
from ritilib.devstack.images.asterisk import PROGRAM
from ritilib.errors import DevstackError
from ritilib.render.asterisk_conf import CONFIG_FOLDER, write_pbx_files
from ritilib.render.records import write_record_files

PBX_SECRETS_FOLDER = "/secrets"
# the first network of a container of Docker's, which is the overlay here
INTERFACE = "eth0"
_COMMAND = re.compile(
    r'^    task "pbx" \{$.*?^ *command += ("[^\n]*")\n *args += (\[[^\n]*\])$', re.MULTILINE | re.DOTALL
)
_UNIT = re.compile(r"^rendered/([^/_][^/]*/[^/]+)/(pbx|box)/secrets\.json$")
_HOST = re.compile(r"^host=(\d+\.\d+\.\d+\.\d+)$", re.MULTILINE)
# nothing moves here: every PBX is at the first of its addresses
_SECOND_HALF = re.compile(r"^\[[^\]\n]+\.1\]\(!\)\nhost=.*\n", re.MULTILINE)
_OF_AN_ALLOCATION = ("--pair", "--taken", "--bound")


@dataclass(frozen=True)
class NodePlan:
    """One Asterisk: name is "box:acme/salto" or "pbx:acme/salto", address its own in the overlay.

    folders: place in the container → file name → text. peers are the addresses of all its IAX2 peers, each once.
    command is what its container runs, () for the image's own: Asterisk with nobody beside it.
    """

    name: str
    address: str
    folders: Mapping[str, Mapping[str, str]]
    peers: frozenset[str]
    command: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def unit(self) -> str:
        """ "acme/salto"."""
        return self.name.partition(":")[2]


@dataclass(frozen=True)
class PhonePlan:
    """One telephone of a box: its extension, and the account by which it registers."""

    box: str
    extension: str
    user: str
    password: str


@dataclass(frozen=True)
class FleetPlan:
    """All that is to run. subnet is the overlay's; phones are in the order of box and extension."""

    subnet: IPv4Network
    nodes: tuple[NodePlan, ...]
    phones: tuple[PhonePlan, ...]

    @property
    def boxes(self) -> tuple[str, ...]:
        return tuple(node.unit for node in self.nodes if node.kind == "box")


def plan_fleet(tree: Mapping[str, str]) -> FleetPlan:
    """tree: path → text, as `render_tree` returns it (one company or more).

    Raises GitopsError where a file names a secret that its secrets.json does not list, DevstackError for a tree without
    a box.
    """
    nodes: list[NodePlan] = []
    phones: list[PhonePlan] = []
    subnets: set[IPv4Network] = set()
    for path in sorted(tree):
        if (match := _UNIT.match(path)) is None:
            continue
        unit, kind = match[1], match[2]
        wanted = json.loads(tree[path])
        place = IPv4Interface(wanted["overlay"]["network"])
        subnets.add(place.network)
        document = invent_document(wanted, unit)
        prefix = f"rendered/{unit}/{kind}/"
        files = {name.removeprefix(prefix): text for name, text in tree.items() if name.startswith(prefix)}
        if kind == "box":
            folders = {CONFIG_FOLDER: compose_box(files, document)}
            command: tuple[str, ...] = (*START, *PROGRAM)
            phones += [
                PhonePlan(unit, number, f"phone-{number}", password)
                for number, password in document.get("phones", {}).items()
            ]
        else:
            folders = _compose_pbx(files, document, unit, str(place.ip))
            command = read_command(files["job.nomad.hcl"], str(place.ip))
        spoken = "".join(folder.get("iax.conf", "") for folder in folders.values())
        peers = frozenset(_HOST.findall(_SECOND_HALF.sub("", spoken)))
        nodes.append(NodePlan(f"{kind}:{unit}", str(place.ip), folders, peers, command))
    if len(subnets) != 1:
        raise DevstackError.because("the tree holds no company of one fleet", "render a fleet with a box")
    [subnet] = subnets
    return FleetPlan(subnet, tuple(nodes), tuple(phones))


def read_command(job: str, address: str) -> tuple[str, ...]:
    """What the PBX's task runs, from the rendered job (HCL), on the interface that the overlay has here.

    address is its one address: without Nomad there are no allocations that take turns.
    """
    if (found := _COMMAND.search(job)) is None:
        raise DevstackError.because("a job's task `pbx` has no command", "render the fleet again")
    program, arguments = found.groups()  # HCL's strings and lists are JSON's
    words = [json.loads(program), *json.loads(arguments)]
    words[words.index("--interface") + 1] = INTERFACE
    while taken := [place for place, word in enumerate(words) if word in _OF_AN_ALLOCATION]:
        del words[taken[0] : taken[0] + 2]
    start = words.index("start") + 1
    return (*words[:start], "--address", address, *words[start:])


def invent_document(wanted: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """A box's or PBX's Vault document from its secrets.json, without the overlay's keys.

    Of its further entries, one that is true stands for one secret of that name.
    """
    document: dict[str, Any] = {
        "iax": {section: invent_secret(*ends) for section, ends in wanted["pairs"].items()}
    }
    if "phones" in wanted:
        document["phones"] = {number: invent_secret("phone", unit, number) for number in wanted["phones"]}
    for name, value in wanted.items():
        if value is True:
            document[name] = invent_secret(name, unit)
    return document


def invent_secret(*names: str) -> str:
    """32 hexadecimal digits, the same for the same names; good for a laboratory only."""
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:32]


def _compose_pbx(
    files: Mapping[str, str], document: Mapping[str, Any], unit: str, address: str
) -> dict[str, dict[str, str]]:
    """As jobs/pbx/job.nomad.hcl.j2 does it: secrets and peers are one file, the dial plan another."""
    secrets = "".join(
        f"[{name}-secret](!)\nsecret={secret}\n" for name, secret in sorted(document["iax"].items())
    )
    live = {name.removeprefix("live/"): text for name, text in files.items() if name.startswith("live/")}
    return {
        CONFIG_FOLDER: write_pbx_files(address)
        | write_record_files("pbx", unit)
        | {name: text for name, text in live.items() if name != "iax.conf"},
        PBX_SECRETS_FOLDER: {"iax.conf": secrets + live["iax.conf"]},
    }
