"""A call through two PBXes with a second way beside it, on one Docker network, and its links to be cut.

Caller's box → its PBX → the other PBX → the callee's box; the second way is box → box. No overlay and no Nomad: IAX2
goes to the containers' own addresses. The dial plans are the least that a takeover needs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ritilib.clients.docker import Docker
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.asterisk import PROGRAM, USER_ID
from ritilib.devstack.images.programs import WATCHER, build_program
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone import Phone, start_phone
from ritilib.errors import DevstackError
from ritilib.render.asterisk_conf import CONFIG_FOLDER, SCRATCH_FOLDERS, write_box_files, write_pbx_files

READY_S = 60.0
TONES_HZ = {"101": 600, "102": 1000}
# the links of the first way, from the caller on
LINKS = (("box-a", "pbx-a"), ("pbx-a", "pbx-b"), ("pbx-b", "box-b"))
_STATE = "/var/run/asterisk/watcher.json"
_SCRATCH = f"size=16m,mode=0700,uid={USER_ID},gid={USER_ID}"

_PEER = """
[{name}]
type=friend
username={me}
host={host}
context=calls
auth=md5
secret=of-the-lab
qualify=500
qualifyfreqok=2000
qualifyfreqnotok=2000
"""
# After an answered call HANGUPCAUSE is 16 whatever the leg's own cause was (Asterisk 22.10.1), so that a handler on the
# leg brings it. It runs beside the dial plan, which waits for it.
_LEG = """
[leg]
exten => s,1,Set(CHANNEL(hangup_handler_push)=leg,over,1)
 same => n,Return()
exten => over,1,Set(MASTER_CHANNEL(LEG_CAUSE)=${HANGUPCAUSE})
 same => n,Return()

[ended]
exten => s,1,Wait(0.2)
 same => n,Return($["${DIALSTATUS}" = "CHANUNAVAIL" | "${LEG_CAUSE}" = "3" | "${LEG_CAUSE}" = "38"])
"""
_RELAY = """\
[calls]
exten => _1XX,1,Dial(IAX2/{onwards}/${{EXTEN}},60,gb(leg^s^1))
 same => n,Gosub(ended,s,1)
 same => n,Hangup(${{IF($[${{GOSUB_RETVAL}}]?{cause}:16)}})
"""
_CALLER = """\
[phones]
exten => 102,1,Dial(IAX2/cloud/102,60,gb(leg^s^1))
 same => n,Gosub(ended,s,1)
 same => n,ExecIf($[${GOSUB_RETVAL}]?Set(AGAIN=1):Hangup(16))
 same => n,Verbose(0,NEXT RUNG after ${LEG_CAUSE})
 same => n(next),Dial(IAX2/box-b/102,60,gb(leg^s^1))
 same => n,GotoIf($["${DIALSTATUS}" = "BUSY" & ${AGAIN}]?again)
 same => n,Hangup(16)
 same => n(again),Set(AGAIN=0)
 same => n,Wait(1)
 same => n,Goto(next)
"""
_CALLEE = """\
[calls]
exten => 102,1,Dial(PJSIP/phone-102,60)
"""
_PHONE = """\
[transport-udp]
type=transport
protocol=udp
bind=0.0.0.0:5060

[phone-{number}]
type=endpoint
context=phones
transport=transport-udp
disallow=all
allow=alaw
direct_media=no
aors=phone-{number}
auth=phone-{number}-auth

[phone-{number}-auth]
type=auth
auth_type=userpass
username=phone-{number}
password=of-the-lab

[phone-{number}]
type=aor
max_contacts=1
remove_existing=yes
"""
# node → (the peer that is its link, its peers: name here → node, its own name there)
_NODES: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "box-a": ("cloud", {"cloud": ("pbx-a", "box"), "box-b": ("box-b", "box-a")}),
    "pbx-a": ("box", {"box": ("box-a", "cloud"), "pbx-b": ("pbx-b", "pbx-a")}),
    "pbx-b": ("box", {"box": ("box-b", "cloud"), "pbx-a": ("pbx-a", "pbx-b")}),
    "box-b": ("cloud", {"cloud": ("pbx-b", "box"), "box-a": ("box-a", "box-b")}),
}


@dataclass
class Calls:
    """The lab while it is up. pids: node → a process in its network namespace; addresses likewise."""

    docker: Docker
    label: str
    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    gateway: str = ""

    def find_container(self, node: str) -> str:
        return f"{self.label}-{node}"

    def ask(self, node: str, command: str) -> str:
        """What the node's Asterisk answers to a command of its console."""
        argv = ["/usr/sbin/asterisk", "-C", f"{CONFIG_FOLDER}/asterisk.conf", "-rx", command]
        code, said = self.docker.execute(self.find_container(node), argv)
        if code != 0:
            raise DevstackError.because(f"{node}: `{command}` ended with {code}: {said}", "see its log")
        return said

    def read_state(self, node: str) -> dict[str, Any]:
        """The watcher's state; {} as long as there is none."""
        pid = self.docker.inspect(self.find_container(node))["State"]["Pid"]
        try:
            return dict(json.loads(Path(f"/proc/{pid}/root{_STATE}").read_text()))
        except FileNotFoundError:
            return {}

    def find_peer(self, link: tuple[str, str]) -> str:
        """The name that the link's end nearer to the caller has for the other end."""
        return next(name for name, (there, _) in _NODES[link[0]][1].items() if there == link[1])

    def wait_reachable(self) -> None:
        """Return when every node reaches all its peers."""
        for node in _NODES:
            wait_until(partial(self._is_well, node), READY_S, f"{node} reaches its peers")

    def find_process(self, node: str, role: str) -> int | None:
        """The process of the node's watcher in that role ("keep", "watch"); None where there is none."""
        pid = self.docker.inspect(self.find_container(node))["State"]["Pid"]
        inside = Path(f"/proc/{pid}/ns/pid").readlink()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if words[:2] == [b"/watcher", role.encode()] and (folder / "ns/pid").readlink() == inside:
                    return int(folder.name)
            except OSError:
                continue  # it ended in between
        return None

    def _is_well(self, node: str) -> bool:
        if self.docker.inspect(self.find_container(node))["State"]["Status"] != "running":
            raise DevstackError.because(
                f"{node} ended", self.docker.read_log(self.find_container(node))[-500:]
            )
        peers = self.read_state(node).get("peers", {})
        return set(peers) == set(_NODES[node][1]) and set(peers.values()) == {"reachable"}

    def cut(self, link: tuple[str, str]) -> None:
        """Drop what comes in at both ends: a drop on the way out would be an error at once, and not an outage."""
        self._rule("-A", link)

    def heal(self, link: tuple[str, str]) -> None:
        self._rule("-D", link)

    def _rule(self, verb: str, link: tuple[str, str]) -> None:
        for here, there in (link, link[::-1]):
            argv = ["nsenter", f"--target={self.pids[here]}", "--net", "--"]
            rule = ["iptables", "-w", verb, "INPUT", "-s", self.addresses[there], "-j", "DROP"]
            done = subprocess.run([*argv, *rule], capture_output=True, text=True, check=False)
            if done.returncode:
                raise DevstackError.because(f"{' '.join(rule)}: {done.stderr.strip()}", "it needs root")


@contextmanager
def hold_calls(docker: Docker, label: str, folder: Path, report: Callable[[str], None]) -> Iterator[Calls]:
    """The four nodes, each reaching its peers and watched; all of it ends with the context. Needs root."""
    lab = Calls(docker, label, folder)
    _remove(lab)
    try:
        _start(lab, report)
        yield lab
    finally:
        _remove(lab)


@contextmanager
def hold_phones(lab: Calls) -> Iterator[tuple[Phone, Phone]]:
    """The caller at box-a, 101, and the callee at box-b, 102, who answers itself; both registered."""
    phones: list[Phone] = []
    try:
        for number, node in (("101", "box-a"), ("102", "box-b")):
            phone = start_phone(
                lab.folder / f"phone-{number}",
                f"phone-{number}",
                server=lab.addresses[node],
                local_address=lab.gateway,
                user=f"phone-{number}",
                password="of-the-lab",
                tone_hz=TONES_HZ[number],
                answers_itself=number == "102",
            )
            phones.append(phone)
            phone.wait_registered(READY_S)
        yield phones[0], phones[1]
    finally:
        for phone in phones:
            phone.stop()


def _start(lab: Calls, report: Callable[[str], None]) -> None:
    go = shutil.which("go")
    if go is None:
        raise DevstackError.because("the watcher must be built, and there is no Go here", "put Go on PATH")
    watcher = build_program(WATCHER, Path(go), find_cache() / "images", report)
    lab.docker.create_network(lab.label, None, {"riti.dev": lab.label})
    for node in _NODES:
        pause = f"{lab.label}-{node}-pause"
        lab.docker.run("riti/pause:dev", pause, network=lab.label, labels={"riti.dev": lab.label})
        state = lab.docker.inspect(pause)
        network = state["NetworkSettings"]["Networks"][lab.label]
        lab.addresses[node], lab.gateway = network["IPAddress"], network["Gateway"]
        lab.pids[node] = state["State"]["Pid"]
    for node, (link, _) in _NODES.items():
        report(f"starting {node}")
        etc = lab.folder / node
        etc.mkdir(parents=True)
        for name, text in _write_files(lab, node).items():
            (etc / name).write_text(text)
        command = [
            "/watcher",
            "start",
            "--peer",
            link,
            "--address",
            lab.addresses[node],
            "--interface",
            "eth0",
        ]
        command += ["--config", f"{CONFIG_FOLDER}/iax.conf", "--config", f"{CONFIG_FOLDER}/extensions.conf"]
        lab.docker.run(
            f"riti/{node.partition('-')[0]}:dev",
            lab.find_container(node),
            [*command, "--", *PROGRAM],
            network_mode=f"container:{lab.label}-{node}-pause",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            labels={"riti.dev": lab.label},
            tmpfs=dict.fromkeys(SCRATCH_FOLDERS, _SCRATCH),
            volumes={
                str(etc): {"bind": CONFIG_FOLDER, "mode": "ro"},
                # the box's own agent is to do this; until then its image has no watcher
                str(watcher): {"bind": "/watcher", "mode": "ro"},
            },
        )
    lab.wait_reachable()


def _write_files(lab: Calls, node: str) -> dict[str, str]:
    peers = "".join(
        _PEER.format(name=name, me=me, host=lab.addresses[there])
        for name, (there, me) in _NODES[node][1].items()
    )
    jitter_buffer = "yes" if node.startswith("box") else "no"
    general = f"[general]\nbindaddr={lab.addresses[node]}\ndisallow=all\nallow=alaw\nautokill=yes\n"
    iax = {"iax.conf": f"{general}jitterbuffer={jitter_buffer}\n{peers}"}
    plans = {
        "box-a": _CALLER,
        "pbx-a": _RELAY.format(onwards="pbx-b", cause=3),
        "pbx-b": _RELAY.format(onwards="box", cause=38),
        "box-b": _CALLEE,
    }
    plan = {"extensions.conf": plans[node] + _LEG}
    if node.startswith("pbx"):
        return {**write_pbx_files(lab.addresses[node]), **iax, **plan}
    phone = {"pjsip.conf": _PHONE.format(number="101" if node == "box-a" else "102")}
    return {**write_box_files(), **iax, **plan, **phone}


def _remove(lab: Calls) -> None:
    for container in lab.docker.list_containers(f"riti.dev={lab.label}"):
        lab.docker.remove(container)
    for network in lab.docker.list_networks(f"riti.dev={lab.label}"):
        lab.docker.remove_network(network)
    for node in _NODES:
        shutil.rmtree(lab.folder / node, ignore_errors=True)
