"""The stack's own interface, and the traces that it leaves in the kernel: rules, chains, mounts."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, ip_address, ip_network
from pathlib import Path

from pydantic import BaseModel

from ritilib.devstack.processes import PATH
from ritilib.errors import DevstackError

TABLES = ("filter", "nat")
ADDRESS_NOTES = Path("/var/run/cni/nomad")  # Nomad calls its one CNI network so
SLOTS = 8
PORTS_PER_SLOT = 1500
FIRST_PORT = 20000


@dataclass(frozen=True)
class Slot:
    """Addresses and names that two stacks on one machine must not share, from one small number."""

    number: int

    @property
    def public_interface(self) -> str:
        return f"riti-pub{self.number}"

    @property
    def public_address(self) -> str:
        """The one address of the "public network" of the lab."""
        return f"10.93.{self.number}.1"

    @property
    def bridge_name(self) -> str:
        return f"riti-br{self.number}"

    @property
    def bridge_subnet(self) -> str:
        """4,093 allocations; 10.94.0.0/20 for slot 0."""
        return f"10.94.{self.number * 16}.0/20"

    @property
    def dynamic_ports(self) -> tuple[int, int]:
        """First and last port that Nomad hands out; all below the kernel's ephemeral range."""
        first = FIRST_PORT + self.number * PORTS_PER_SLOT
        return first, first + PORTS_PER_SLOT - 1


class Footprint(BaseModel):
    """What the kernel's tables held before the first stack: the rest is ours to remove after the last."""

    chains: dict[str, list[str]]
    forward_policy: str
    ip_forward: str


def read_footprint() -> Footprint:
    """The chains of each table, the policy of FORWARD, and whether the machine forwards at all."""
    chains: dict[str, list[str]] = {}
    policy = "ACCEPT"
    for table in TABLES:
        rules = _list_rules(table)
        chains[table] = [rule[1] for rule in rules if rule[0] == "-N"]
        policy = next((r[2] for r in rules if table == "filter" and r[:2] == ["-P", "FORWARD"]), policy)
    forward = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    return Footprint(chains=chains, forward_policy=policy, ip_forward=forward)


def has_interface(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def add_public_interface(slot: Slot) -> None:
    """An interface that leads nowhere and carries the public address; again without harm.

    A bridge without ports rather than a dummy: kernels without the dummy driver still have bridges, as
    Docker needs them.
    """
    if not has_interface(slot.public_interface):
        run("ip", "link", "add", slot.public_interface, "type", "bridge")
    run("ip", "address", "replace", f"{slot.public_address}/32", "dev", slot.public_interface)
    run("ip", "link", "set", slot.public_interface, "up")


def remove_interface(name: str) -> None:
    if has_interface(name):
        run("ip", "link", "delete", name)


def remove_rules(marks: Collection[str], subnet: str) -> None:
    """Delete every rule about subnet or one of marks (a bridge, an allocation), and chains for it alone."""
    for table in TABLES:
        rules = _list_rules(table)
        marked = [r for r in rules if r[0] == "-A" and any(_is_about(w, marks, subnet) for w in r)]
        own = {r[r.index("-j") + 1] for r in marked if "-j" in r}
        for rule in marked:
            run("iptables", "-w", "-t", table, "-D", *rule[1:])
        made = {r[1] for r in rules if r[0] == "-N"}
        _remove_chains(table, {c for c in own & made if _is_of_container(c)})


def restore_footprint(before: Footprint, with_docker: bool) -> None:
    """Remove the chains that CNI and Nomad (with_docker: also Docker) made since before."""
    prefixes = ("CNI-", "NOMAD-", "DOCKER") if with_docker else ("CNI-", "NOMAD-")
    for table in TABLES:
        rules = _list_rules(table)
        made = {r[1] for r in rules if r[0] == "-N" and r[1].startswith(prefixes)}
        made -= set(before.chains.get(table, ()))
        for rule in rules:
            if (
                rule[0] == "-A"
                and rule[1] not in made
                and "-j" in rule
                and rule[rule.index("-j") + 1] in made
            ):
                run("iptables", "-w", "-t", table, "-D", *rule[1:])
        _remove_chains(table, made)
    if with_docker:
        run("iptables", "-w", "-P", "FORWARD", before.forward_policy)
        Path("/proc/sys/net/ipv4/ip_forward").write_text(before.ip_forward)


def forget_addresses(subnet: str) -> None:
    """Remove what CNI noted about addresses of subnet; its own DEL does so unless a container was forced."""
    network = ip_network(subnet)
    for note in ADDRESS_NOTES.glob("*.*.*.*"):
        if ip_address(note.name) in network:
            note.unlink(missing_ok=True)


def unmount_below(folder: Path) -> None:
    """Unmount what is mounted below folder (Nomad's tmpfs for secrets), the deepest first."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split()[1].encode().decode("unicode_escape")
        if Path(place).is_relative_to(folder):
            run("umount", "--lazy", place)


def run(*argv: str) -> str:
    """Output of a short program; DevstackError with what it said where it fails."""
    done = subprocess.run(
        argv,
        check=False,
        env={"PATH": PATH, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise DevstackError.because(
            f"`{shlex.join(argv)}` ended with {done.returncode}: {done.stderr.strip()}",
            "the stack needs root and a kernel with bridges and iptables",
        )
    return done.stdout


def _is_about(word: str, marks: Collection[str], subnet: str) -> bool:
    if any(mark in word for mark in marks):
        return True
    try:
        return IPv4Interface(word).network.subnet_of(IPv4Network(subnet))
    except ValueError:
        return False  # not an address


def _is_of_container(chain: str) -> bool:
    """CNI gives a container CNI-<24 hex digits> (masquerading) and CNI-DN-<21 or so> (mapped ports)."""
    digits = chain.removeprefix("CNI-").removeprefix("DN-")
    return chain.startswith("CNI-") and len(digits) > 16 and all(c in "0123456789abcdef" for c in digits)


def _remove_chains(table: str, chains: Collection[str]) -> None:
    for chain in sorted(chains):
        run("iptables", "-w", "-t", table, "-F", chain)
    for chain in sorted(chains):
        run("iptables", "-w", "-t", table, "-X", chain)


def _list_rules(table: str) -> list[list[str]]:
    return [shlex.split(line) for line in run("iptables", "-w", "-t", table, "-S").splitlines()]
