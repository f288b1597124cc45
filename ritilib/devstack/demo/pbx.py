"""Looking into the PBXes that Nomad runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ritilib.clients.nomad import Allocation
from ritilib.devstack.demo.lab import FLEET, Lab
from ritilib.errors import DevstackError
from ritilib.render.names import UnitNames

BOXES = ("acme/montevideo", "acme/salto", "zorro/paysandu")


@dataclass(frozen=True)
class Task:
    """Which instance of a PBX runs, and since when."""

    allocation: str
    started_at: str


def job_of(key: str) -> str:
    """Nomad's id for the job of a unit such as "acme/salto"."""
    return UnitNames(FLEET, *key.split("/")).job_id


def read_tasks(lab: Lab) -> dict[str, Task]:
    """The running task `pbx` of every PBX."""
    found = {}
    for key in BOXES:
        for one in lab.nomad.list_allocations(job_of(key)):
            state = one.task_states.get("pbx")
            if one.client_status == "running" and state:
                found[key] = Task(one.id, f"{state.started_at} after {state.restarts} restarts")
    return found


def find_running(lab: Lab, key: str) -> Allocation:
    """The one running allocation of a unit's job; DevstackError where there is none or more."""
    running = [one for one in lab.nomad.list_allocations(job_of(key)) if one.client_status == "running"]
    if len(running) != 1:
        raise DevstackError.because(f"{key} has {len(running)} running allocations", "see `nomad job status`")
    return running[0]


def run_in_pbx(lab: Lab, key: str, command: str) -> str:
    """What Asterisk's console in that PBX answers."""
    container = f"pbx-{find_running(lab, key).id}"
    _, output = lab.docker.execute(
        container, ["/usr/sbin/asterisk", "-C", "/local/asterisk/asterisk.conf", "-rx", command]
    )
    return output


def knows(lab: Lab, key: str, number: str, where: str) -> bool:
    """Whether the PBX's dial plan leads its box's calls of number to a place such as "to-box,101,1"."""
    said = run_in_pbx(lab, key, f"dialplan show {number}@from-box")
    entry = re.search(rf"'{number}' =>.*?(?=\n\n|\n *'|\Z)", said, re.DOTALL)
    return entry is not None and where in entry[0]


def has_peer(lab: Lab, key: str, peer: str) -> bool:
    """Whether the PBX has this peer and reaches it."""
    said = run_in_pbx(lab, key, "iax2 show peers")
    return re.search(rf"^{re.escape(peer)}\b.* OK \(", said, re.MULTILINE) is not None


def is_linked(lab: Lab, key: str) -> bool:
    """Whether the PBX sees its box and every other PBX of its company."""
    said = run_in_pbx(lab, key, "iax2 show peers")
    count = re.search(r"^(\d+) iax2 peers \[(\d+) online", said, re.MULTILINE)
    return count is not None and int(count[1]) > 0 and count[1] == count[2]
