"""One Asterisk in a container that has its overlay address on an ordinary bridge."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ritilib.clients.docker import Docker
from ritilib.devstack.telephony.company_files import NodePlan
from ritilib.devstack.telephony.console import ask_console
from ritilib.devstack.telephony.office import BOX_USER, READY_S, wait_until
from ritilib.devstack.telephony.office_files import find_secrets_folder, write_box_folder
from ritilib.errors import DevstackError
from ritilib.render.asterisk_conf import KEPT_FOLDERS, SCRATCH_FOLDERS

_SCRATCH = f"size=16m,mode=0700,uid={BOX_USER},gid={BOX_USER}"
STATE = "var/run/asterisk/watcher.json"
_PEER = re.compile(
    r"^\S+ +(\d+\.\d+\.\d+\.\d+) +\([SD]\) .*?(OK|LAGGED|UNREACHABLE|UNKNOWN|Unmonitored)\b", re.MULTILINE
)


@dataclass
class Node:
    """A running Asterisk; pid is its process on the host, 0 while it is dead.

    office_address is the one on the network where telephones and lines are; "" where it has none. volumes: path here
    → place in the container of what it needs besides its folders. kept: the folder here that a box's KEPT_FOLDERS lie
    in, and that outlives its container; None for what keeps nothing.
    """

    plan: NodePlan
    docker: Docker
    label: str
    pid: int = 0
    office_address: str = ""
    volumes: Mapping[str, str] = field(default_factory=dict)
    kept: Path | None = None

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def container(self) -> str:
        return f"{self.label}-{self._slug}"

    def ask(self, *commands: str) -> str:
        """What its console answers; DevstackError where it is dead."""
        return ask_console(self.pid, *commands)

    def read_peers(self) -> dict[str, str]:
        """address of each IAX2 peer → "OK", "LAGGED", "UNREACHABLE", "UNKNOWN" or "Unmonitored".

        Not by name: Asterisk cuts names off at 15 characters there.
        """
        return dict(_PEER.findall(self.ask("iax2 show peers")))

    def read_state(self) -> dict[str, Any]:
        """What its watcher knows, as it writes it (jobs/pbx/watcher/state.go); {} as long as there is nothing."""
        try:
            return dict(json.loads(Path(f"/proc/{self.pid}/root/{STATE}").read_text()))
        except FileNotFoundError:
            return {}

    def find_watcher(self, role: str) -> int | None:
        """The process of its watcher in that role; None where there is none. "watch" is started again by "keep", or by
        "start" at a PBX, where that is Asterisk's parent."""
        inside = Path(f"/proc/{self.pid}/ns/pid").readlink()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if words[:2] == [b"/watcher", role.encode()] and (folder / "ns/pid").readlink() == inside:
                    return int(folder.name)
            except OSError:
                continue  # it ended in between
        return None

    def start(self, image: str, overlay: str, office: str, labels: Mapping[str, str]) -> None:
        """Write its folders to memory, run it with its addresses in these two networks, and wait until it is up."""
        volumes = {source: {"bind": place, "mode": "ro"} for source, place in self.volumes.items()}
        for place, files in self.plan.folders.items():
            folder = self._find_folder(place)
            write_box_folder(folder, files, {}, BOX_USER)
            volumes[str(folder)] = {"bind": place, "mode": "ro"}
        volumes |= self._make_kept(self.kept) if self.kept else {}
        # IAX2 needs its address when it starts; PJSIP, on all addresses, can wait for the second
        network, address = (
            (overlay, self.plan.address) if self.plan.address else (office, self.office_address)
        )
        self.docker.run(
            image,
            self.container,
            self.plan.command,
            user=f"{BOX_USER}:{BOX_USER}",
            volumes=volumes,
            tmpfs=dict.fromkeys(SCRATCH_FOLDERS, _SCRATCH),
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            pids_limit=200,
            labels=dict(labels),
            network=network,
            networking_config={network: {"IPAMConfig": {"IPv4Address": address}}},
        )
        if self.plan.address and self.office_address:
            self.docker.connect(office, self.container, self.office_address)
        self.wait_booted()

    def replace(self, place: str, name: str, text: str) -> None:
        """Give one file of a folder ("/secrets") another text in one step, as Nomad's templates do."""
        write_box_folder(self._find_folder(place), {name: text}, {}, BOX_USER)

    def kill(self) -> None:
        """SIGKILL, as when its machine loses power."""
        self.docker.kill(self.container)
        self.pid = 0

    def revive(self) -> None:
        """Start a killed one again: same files and addresses; what it wrote is forgotten."""
        self.docker.start(self.container)
        self.wait_booted()

    def wait_booted(self) -> None:
        """Return when its console says so, and its watcher; DevstackError with its last lines when it ends instead."""
        wait_until(self._is_booted, READY_S, f"{self.name} is up")
        if self.plan.command:
            wait_until(self._is_watched, READY_S, f"the watcher of {self.name} has its files in force")

    def write_log(self, folder: Path) -> None:
        """Keep what it has said so far in folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / f"{self._slug}.log").write_text(self.docker.read_log(self.container))

    def _make_kept(self, folder: Path) -> dict[str, dict[str, str]]:
        """What is kept over the container's end, as Docker mounts it; made below folder where it is not there."""
        mounts = {}
        for place in KEPT_FOLDERS:
            kept = folder / self._slug / place.rpartition("/")[2]
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(kept, BOX_USER, BOX_USER)
            mounts[str(kept)] = {"bind": place, "mode": "rw"}
        return mounts

    def _find_folder(self, place: str) -> Path:
        return find_secrets_folder(self.label, self._slug) / place.strip("/").replace("/", "-")

    @property
    def _slug(self) -> str:
        return self.name.replace(":", "-").replace("/", "-")

    def _is_booted(self) -> bool:
        state = self.docker.inspect(self.container)["State"]
        if state["Status"] != "running":
            said = self.docker.read_log(self.container).splitlines()[-5:]
            raise DevstackError.because(f"{self.name} ended by itself: {' / '.join(said)}", "see its log")
        self.pid = int(state["Pid"])
        try:
            return "fully booted" in self.ask("core waitfullybooted")
        except DevstackError:
            return False  # its console is not there yet

    def _is_watched(self) -> bool:
        state = self.read_state()
        return state.get("manager") == "up" and not state["unacknowledged"]
