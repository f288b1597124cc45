"""The product's first sentence: a box is plugged in, boots its image, enrolls, and has dial tone, and nobody types.

The image that was built last runs in QEMU with a card that `riti box claim` wrote, in the demo's fleet; the other
office is a container. Seconds are printed; PATIENCE makes the deadlines longer. What the box says is kept in the
images' cache, as dial-tone.log.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from boxos.emulate import Machine, read_patience
from boxos.running import find_cache as find_image_cache
from boxos.running import read_last
from ritilib.devstack.demo.deploy import ON_ENROLL, deploy, make_repository, merge_change
from ritilib.devstack.demo.enroll import is_open, power_on, run_gateway, run_service, write_card
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.demo.pbx import is_linked
from ritilib.devstack.demo.talk import (
    CALLEE_HZ,
    CALLER_HZ,
    MONTEVIDEO,
    SALTO,
    Ear,
    connect_phone,
    judge_audio,
)
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.agent import build_agent
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone import Phone
from tests.image.emulated_office import connect_behind, hold_box, keep_reading, read_page
from tests.integration.enrolled import EXAMPLE, is_settled
from tests.integration.stacks import hold_stack

START_S, LINK_S, CALL_S, HEARD_S = 900.0, 180.0, 20.0, 5.0
CUT_S = 40.0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The demo's fleet on a stack of its own, with the gateway, and nobody in yet."""
    with hold_stack(tmp_path / "stack") as stack:
        lab = Lab(tmp_path, stack.state, print, stack)
        build_agent(stack.docker_host, find_cache(), print)
        made = Step(0, "")
        make_repository(lab, made, EXAMPLE, ON_ENROLL)
        merge_change(lab, "Acme and Zorro get their telephones")
        try:
            deploy(lab, made)
            run_gateway(lab)
            yield lab
        finally:
            for phone in lab.phones.values():
                phone.stop()
            for office in lab.offices.values():
                office.stop()


def test_a_box_that_is_plugged_in_has_dial_tone(lab: Lab, tmp_path: Path) -> None:
    patience = read_patience()
    image = Path(read_last()["paths"]["disk"])
    log = find_image_cache() / "dial-tone.log"
    log.unlink(missing_ok=True)
    cards = {key: write_card(lab, key, key.replace("/", "-")) for key in (MONTEVIDEO, SALTO)}
    work = tmp_path / "box"
    work.mkdir()
    with run_service(lab), hold_box(lab, SALTO, image, cards[SALTO], work, log) as box:
        wait_until(lambda: is_open(lab), LINK_S, "the controller lets the boxes ask")
        power_on(lab, MONTEVIDEO, cards[MONTEVIDEO]).wait_linked(LINK_S)
        cut_off(box, int(os.environ.get("CUTS", "0")))
        began_s = time.monotonic()
        box.start(os.environ.get("MORE", ""))
        box.follow({"let in": "RITI agent answers: "}, START_S, print)
        with keep_reading(box):
            wait_until(
                lambda: read_page().get("link") == "up",
                LINK_S * patience,
                f"the box is linked ({read_page()})",
            )
            print(f"  link up: {time.monotonic() - began_s:.1f} s")
            phone = connect_behind(lab, SALTO, "201", CALLER_HZ, LINK_S * patience)
            print(f"  dial tone: {time.monotonic() - began_s:.1f} s")
            wait_until(partial(is_linked, lab, SALTO), LINK_S, "Salto's PBX sees its box and its peers")
            wait_until(partial(is_settled, lab, SALTO), LINK_S, "nobody may ask by Salto's card any more")
            other = connect_phone(lab, MONTEVIDEO, "101", CALLEE_HZ)
            call((phone, "201", CALLER_HZ), (other, "101", CALLEE_HZ))
            print(f"  talked: {time.monotonic() - began_s:.1f} s")
            call((other, "101", CALLEE_HZ), (phone, "201", CALLER_HZ))


def cut_off(box: Machine, cuts: int) -> None:
    """Pull the power so many times, at moments between the first program and the end of the enrollment."""
    for number in range(1, cuts + 1):
        box.start(os.environ.get("MORE", ""))
        # from here to the configuration in force took some ten seconds; a longer start is cut behind it
        box.follow({"agent": "RITI status "}, START_S)
        moment_s = random.uniform(0, CUT_S)
        box.wait(moment_s)
        box.cut()
        print(f"  cut {number}: {moment_s:.1f} s after the agent's start")


End = tuple[Phone, str, int]


def call(first: End, second: End) -> None:
    """One call, whose both ends hear each other. An end is telephone, number, tone."""
    (caller, own, own_hz), (callee, number, number_hz) = first, second
    caller.dial(number)
    callee.wait_for("ringing", CALL_S)
    callee.answer()
    caller.wait_for("established", CALL_S)
    heard = Step(0, f"{own} calls {number}")
    # each hears the other's tone
    ears = tuple(
        Ear(where, phone.recording, tone_hz, phone.recording.length_s(), phone.recording.missing_s())
        for where, phone, tone_hz in ((own, caller, number_hz), (number, callee, own_hz))
    )
    judge_audio(heard, (ears[0], ears[1]), HEARD_S)
    for fact in heard.facts:
        print(f"  {heard.title}: {fact.what}: {fact.figure}")
    assert [fact for fact in heard.facts if not fact.held] == []
    caller.hang_up()
    callee.wait_for("closed", CALL_S)
