"""An office of the lab whose box is the image itself, in QEMU, behind a router of its own; and its telephone."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from boxos.cables import Cables, hold_lan, route_from
from boxos.emulate import Machine
from boxos.lab import make_card
from ritilib.devstack.demo.deploy import read_document
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.guests import adopt_process
from ritilib.devstack.telephony.office import Images
from ritilib.devstack.telephony.phone import Phone, start_phone
from ritilib.fleet.edit_enrollment import read_box
from ritilib.gitops.worktree import read_fleet_files

BOX, PHONE = "192.168.213.1", "192.168.213.77"  # of the telephones' side, where the fleet says that a box is
LAN = "riti-lan"


@contextmanager
def hold_box(lab: Lab, key: str, image: Path, claimed: Path, work: Path, log: Path) -> Iterator[Machine]:
    """The box of key with its card in it, everything plugged in, and no power yet."""
    serial = read_box(read_fleet_files(lab.work), key).serial or ""
    card = make_card(image, work, claimed)
    with (
        hold_home(lab, key) as router,
        hold_lan(LAN, f"{PHONE}/24") as lan,
        Machine(card, work, router + lan, log, serial) as box,
    ):
        yield box


@contextmanager
def hold_home(lab: Lab, key: str) -> Iterator[Cables]:
    """The office's router: it leads to the stack's public address, and nowhere else."""
    docker, name = lab.docker, key.replace("/", "-")
    prefix = f"{lab.running.name}-{name}"
    # the stack's end removes what bears them
    labels = {"riti.dev": lab.running.name, "riti.office": name}
    docker.create_network(prefix, None, labels)
    try:
        docker.run(
            Images().pause,
            f"{prefix}-pause",
            network=prefix,
            cap_drop=["ALL"],
            labels=labels,
            read_only=True,
        )
        state = docker.inspect(f"{prefix}-pause")
        pid, network = int(state["State"]["Pid"]), state["NetworkSettings"]["Networks"][prefix]
        _route(pid, "add", f"{lab.running.public_address}/32", "via", network["Gateway"])
        # a box asks the Internet for the time; this one's Internet ends at the stack
        _route(pid, "delete", "default")
        yield route_from(pid)
    finally:
        docker.remove(f"{prefix}-pause")
        docker.remove_network(prefix)


def connect_behind(lab: Lab, key: str, number: str, tone_hz: int, timeout_s: float) -> Phone:
    """A telephone on the box's own second interface, once it is registered there."""
    phone = start_phone(
        lab.folder / "phones" / number,
        name=f"phone-{number}",
        server=BOX,
        local_address=PHONE,
        user=f"phone-{number}",
        password=read_document(lab, key).data["phones"][number],
        tone_hz=tone_hz,
    )
    lab.phones[number] = phone
    adopt_process(lab.state, f"telephone {number}", phone.process)
    phone.wait_registered(timeout_s)
    return phone


def read_page() -> dict[str, Any]:
    """What the box's page says to programs; {} while nobody answers."""
    try:
        said: dict[str, Any] = requests.get(f"http://{BOX}/status.json", timeout=10).json()
        return said
    except (requests.RequestException, ValueError):
        return {}


@contextmanager
def keep_reading(box: Machine) -> Iterator[None]:
    """A console that nobody reads fills a pipe, and then the box's kernel waits for it."""
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            box.wait(0.2)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


def _route(pid: int, *words: str) -> None:
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", "route", *words]
    subprocess.run(argv, check=True, capture_output=True)
