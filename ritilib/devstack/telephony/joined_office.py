"""An office of the lab that is given nothing but a card: its box joins, takes its configuration, and telephones.

Its containers are a box's services (box-os/units): the agent, the overlay, Asterisk, around one network and one data
folder. All are started at once, as when the power comes, and nothing is told to any of them afterwards.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ritilib.box.start import START_WITH_AGENT
from ritilib.box.word import SILENT, Word, understand_word
from ritilib.clients.docker import Docker
from ritilib.devstack.images.agent import IMAGE, USER_ID
from ritilib.devstack.images.asterisk import PROGRAM
from ritilib.devstack.telephony.office import BOX_USER, Images, ask_console, find_peer_address, wait_until
from ritilib.devstack.telephony.office_files import find_secrets_folder, remove_secrets
from ritilib.render.asterisk_conf import CONFIG_FOLDER, SCRATCH_FOLDERS

OVERLAY_GROUP = 10003
RUN_FOLDER = "/var/run/asterisk"
_ALWAYS = {"Name": "always"}
# Asterisk's owner and group among the folders of a box's data partition (box-os/units/riti.tmpfiles.conf)
_FOLDERS = {
    "data": (USER_ID, USER_ID, 0o700),
    "data/configuration": (USER_ID, BOX_USER, 0o750),
    "data/overlay": (USER_ID, OVERLAY_GROUP, 0o750),
    "run": (BOX_USER, BOX_USER, 0o755),
}


@dataclass
class JoinedOffice:
    """A running office; folder holds its card, data and state, in memory. address is the box's in its network."""

    name: str
    label: str
    docker: Docker
    folder: Path
    started_s: float
    address: str = ""
    gateway: str = ""
    pid: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"{self.label}-{self.name}"

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_s

    @property
    def peer_address(self) -> str:
        """The overlay address of the box's own PBX, as the configuration in force has it."""
        return find_peer_address(
            self.name, (self.folder / "data/configuration/asterisk/iax.conf").read_text()
        )

    def asterisk(self, command: str) -> str:
        """What the box's Asterisk answers to a command of its console."""
        return ask_console(self.docker, self.name, f"{self.prefix}-box", command)

    def read_word(self) -> Word:
        """What the watcher beside its Asterisk says now."""
        path = self.folder / "run/watcher.json"
        try:
            return understand_word(path.read_bytes(), time.time() - path.stat().st_mtime)
        except OSError:
            return SILENT

    def read_report(self) -> str:
        """What its agent says of itself, as JSON; "" as long as it says nothing."""
        try:
            return (self.folder / "data/agent.json").read_text()
        except OSError:
            return ""

    def wait_linked(self, timeout_s: float) -> float:
        """Return when its own PBX answers over the overlay: the seconds since it was started."""
        wait_until(
            lambda: self.read_word().link == "up",
            timeout_s,
            f"the box of {self.name} is linked to its PBX ({self.read_report()})",
        )
        return self.age_s

    def stop(self) -> None:
        """End and remove everything of this office."""
        for container in self.docker.list_containers(f"riti.office={self.name}"):
            if container.startswith(f"{self.prefix}-"):
                self.docker.remove(container)
        self.docker.remove_network(self.prefix)
        remove_secrets(self.label, self.name)


def start_joined_office(
    docker: Docker,
    name: str,
    card: Path,
    serial: str,
    label: str,
    report: Callable[[str], None],
    images: Images | None = None,
    agent: str = IMAGE,
) -> JoinedOffice:
    """Start an office with the card that `riti box claim` wrote and wait for nothing.

    serial is what the box's kernel would say. label marks containers and network as riti.dev=<label>; what an earlier
    office of the same name and label left behind is removed first. ServerError where Docker refuses; nothing of the
    office is left then.
    """
    office = JoinedOffice(name, label, docker, find_secrets_folder(label, name), time.monotonic())
    office.labels = {"riti.dev": label, "riti.office": name}
    office.stop()
    chosen = images or Images()
    try:
        _make_folders(office.folder, card)
        _start_network(office, chosen)
        report(f"office {name}: power on, with a card and nothing else")
        office.started_s = time.monotonic()
        _start_agent(office, agent, serial)
        _start_overlay(office, chosen)
        _start_asterisk(office, chosen)
    except BaseException:
        office.stop()
        raise
    return office


def _make_folders(folder: Path, card: Path) -> None:
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    for place, (owner, group, mode) in _FOLDERS.items():
        made = folder / place
        made.mkdir()
        os.chown(made, owner, group)
        made.chmod(mode)
    shutil.copytree(card, folder / "card")
    for path in (folder / "card", *(folder / "card").iterdir()):
        os.chown(path, USER_ID, USER_ID)


def _start_network(office: JoinedOffice, images: Images) -> None:
    office.docker.create_network(office.prefix, None, dict(office.labels))
    pause = f"{office.prefix}-pause"
    options: dict[str, Any] = {"cap_drop": ["ALL"], "labels": dict(office.labels), "read_only": True}
    office.docker.run(images.pause, pause, network=office.prefix, **options)
    state = office.docker.inspect(pause)
    network = state["NetworkSettings"]["Networks"][office.prefix]
    office.address, office.gateway = network["IPAddress"], network["Gateway"]
    office.pid = state["State"]["Pid"]


def _start_agent(office: JoinedOffice, image: str, serial: str) -> None:
    groups = ["--asterisk-group", str(BOX_USER), "--overlay-group", str(OVERLAY_GROUP)]
    office.docker.run(
        image,
        f"{office.prefix}-agent",
        [*groups, "--serial", serial],
        group_add=[BOX_USER, OVERLAY_GROUP],
        volumes={
            str(office.folder / "data"): {"bind": "/data", "mode": "rw"},
            str(office.folder / "card"): {"bind": "/card", "mode": "ro"},
            str(office.folder / "run"): {"bind": "/run/asterisk", "mode": "ro"},
        },
        tmpfs={"/run/riti": f"size=16m,mode=0700,uid={USER_ID},gid={USER_ID}"},
        pids_limit=200,
        **_share(office),
    )


def _start_overlay(office: JoinedOffice, images: Images) -> None:
    gate = ["--interface", "riti", "--port", "4569", "--follow", "/overlay/overlay.yml"]
    office.docker.run(
        images.overlay,
        f"{office.prefix}-overlay",
        [*gate, "--", "/nebula", "-config", "/overlay/overlay.yml"],
        entrypoint=["/gate"],
        group_add=[OVERLAY_GROUP],
        cap_add=["NET_ADMIN"],
        devices=["/dev/net/tun:/dev/net/tun:rwm"],
        volumes={str(office.folder / "data/overlay"): {"bind": "/overlay", "mode": "ro"}},
        **_share(office),
    )


def _start_asterisk(office: JoinedOffice, images: Images) -> None:
    scratch = f"size=16m,mode=0700,uid={BOX_USER},gid={BOX_USER}"
    office.docker.run(
        images.box,
        f"{office.prefix}-box",
        [*START_WITH_AGENT, *PROGRAM],
        user=f"{BOX_USER}:{BOX_USER}",
        volumes={
            # the folder above the link: its agent puts another link there
            str(office.folder / "data/configuration"): {
                "bind": str(Path(CONFIG_FOLDER).parent),
                "mode": "ro",
            },
            str(office.folder / "run"): {"bind": RUN_FOLDER, "mode": "rw"},
        },
        tmpfs={place: scratch for place in SCRATCH_FOLDERS if place != RUN_FOLDER},
        pids_limit=200,
        **_share(office),
    )


def _share(office: JoinedOffice) -> dict[str, Any]:
    return {
        "network_mode": f"container:{office.prefix}-pause",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "restart_policy": _ALWAYS,
        "labels": dict(office.labels),
    }
