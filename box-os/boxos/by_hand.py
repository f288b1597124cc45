"""What the trials of a box in QEMU do by hand, where there is no agent to ask for it: the rescue way's shell, reached
as a person would reach it, and a slot tried from there."""

from __future__ import annotations

import re
from pathlib import Path

from boxos.emulate import Machine
from boxos.firmware import find_spans
from boxos.layout import SELECTOR
from boxos.programs import run
from ritilib.errors import RitiError


def ask_for_rescue(card: Path) -> None:
    """Put the file onto the card as a person would."""
    offset = find_spans(run(["sfdisk", "--dump", card]))[SELECTOR][0]
    asked = card.with_name("RESCUE")
    asked.write_bytes(b"")
    run(["mcopy", "-o", "-i", f"{card}@@{offset}", asked, "::RESCUE"])


def open_rescue(box: Machine, timeout_s: float) -> None:
    ask_for_rescue(box.card)
    start_rescue(box, timeout_s)


def start_rescue(box: Machine, timeout_s: float) -> None:
    """To the shell, where the card asks for it."""
    box.start()
    # what is typed before the shell has its terminal is lost
    box.follow({"mark": "the rescue way is open", "shell": "rescue# "}, timeout_s)
    # wide, so that what is typed is not broken into lines
    box.run("stty cols 400")


def open_network(box: Machine) -> None:
    """In the rescue way nothing of it is up."""
    code, said = box.run("systemctl start dbus.service systemd-networkd.service")
    if code:
        raise RitiError.because(f"nothing starts in the rescue way: {said}", "look at its console")
    # QEMU's network gives an address, and no way on from there
    address = "ip -4 addr show wan | grep -q inet"
    code, said = box.run(f"for i in $(seq 90); do {address} && break; sleep 1; done; ip addr; {address}", 180)
    if code:
        raise RitiError.because(f"the guest has no address: {said}", "look at its console")


def try_slot(box: Machine, slot: str, timeout_s: float) -> None:
    """From the rescue way: have slot tried at the next start, and start anew."""
    open_rescue(box, timeout_s)
    code, said = box.run(f"/usr/lib/riti/slot set-primary {slot}")
    if code:
        raise RitiError.because(f"slot {slot} cannot be tried: {said}", "look at onbox/slot.py")
    restart(box, timeout_s)


def restart(box: Machine, timeout_s: float) -> None:
    box.type("systemctl start --no-block riti-restart.service")
    box.wait_end(timeout_s)


def took(found: int, expected: int, when: str) -> list[str]:
    return [] if found == expected else [f"{when} the firmware took partition {found}, not {expected}"]


def show_slots(box: Machine) -> tuple[str, str]:
    """The slot that runs, and the one that the next restart takes, as a shell on the box is told."""
    # a terminal's own signs may stand around the answer
    _, said = box.run('echo "=$(/usr/lib/riti/slot get-current)/$(/usr/lib/riti/slot get-primary)="')
    found = re.search(r"=(\w*)/(\w*)=", said)
    if not found:
        raise RitiError.because(f"the box does not say its slots: {said}", "look at onbox/slot.py")
    return found[1], found[2]
