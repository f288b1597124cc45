"""The product's first sentence: a box is plugged in, boots its image, enrolls, and has dial tone, and nobody types.

The image that was built last runs in QEMU with a card that `riti box claim` wrote, in the demo's fleet; the other
office is a container. Then a merge names another image, and the box goes there by itself. Seconds are printed; PATIENCE
makes the deadlines longer. What the box says is kept in the images' cache, as dial-tone.log.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from boxos.emulate import Machine, read_patience
from boxos.layout import BOOT_B
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
from tests.image.merged_image import merge_image, read_told, read_update, serve_newer
from tests.integration.enrolled import EXAMPLE, is_settled
from tests.integration.stacks import hold_stack

START_S, LINK_S, INSTALL_S, CALL_S, HEARD_S = 900.0, 180.0, 420.0, 20.0, 5.0
TOLD_S = 400.0  # a box asks every five minutes what it is to run
CUT_S = 40.0


End = tuple[Phone, str, int]


@dataclass(frozen=True)
class Plugged:
    """The demo's fleet with Montevideo's box, a container, linked; and Salto's, the image in QEMU, without power."""

    lab: Lab
    box: Machine

    def dial(self, waiting_s: float) -> tuple[End, End]:
        """A registered telephone behind each box."""
        here = connect_behind(self.lab, SALTO, "201", CALLER_HZ, waiting_s)
        there = self.lab.phones.get("101") or connect_phone(self.lab, MONTEVIDEO, "101", CALLEE_HZ)
        return (here, "201", CALLER_HZ), (there, "101", CALLEE_HZ)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The demo's fleet on a stack of its own, with the gateway, and nobody in yet."""
    folder = tmp_path_factory.mktemp("lab")
    with hold_stack(folder / "stack") as stack:
        lab = Lab(folder, stack.state, print, stack)
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


@pytest.fixture(scope="module")
def plugged(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugged]:
    image = Path(read_last()["paths"]["disk"])
    log = find_image_cache() / "dial-tone.log"
    log.unlink(missing_ok=True)
    cards = {key: write_card(lab, key, key.replace("/", "-")) for key in (MONTEVIDEO, SALTO)}
    work = tmp_path_factory.mktemp("box")
    with run_service(lab), hold_box(lab, SALTO, image, cards[SALTO], work, log) as box:
        wait_until(lambda: is_open(lab), LINK_S, "the controller lets the boxes ask")
        power_on(lab, MONTEVIDEO, cards[MONTEVIDEO]).wait_linked(LINK_S)
        yield Plugged(lab, box)


def test_a_box_that_is_plugged_in_has_dial_tone(plugged: Plugged) -> None:
    lab, box = plugged.lab, plugged.box
    waiting_s = LINK_S * read_patience()
    cut_off(box, int(os.environ.get("CUTS", "0")))
    began_s = time.monotonic()
    box.start(os.environ.get("MORE", ""))
    box.follow({"let in": "RITI agent answers: "}, START_S, print)
    with keep_reading(box):
        wait_until(lambda: read_page().get("link") == "up", waiting_s, f"the box is linked ({read_page()})")
        print(f"  link up: {time.monotonic() - began_s:.1f} s")
        here, there = plugged.dial(waiting_s)
        print(f"  dial tone: {time.monotonic() - began_s:.1f} s")
        wait_until(partial(is_linked, lab, SALTO), LINK_S, "Salto's PBX sees its box and its peers")
        wait_until(partial(is_settled, lab, SALTO), LINK_S, "nobody may ask by Salto's card any more")
        call(here, there)
        print(f"  talked: {time.monotonic() - began_s:.1f} s")
        call(there, here)


def test_a_merge_brings_the_box_another_image_and_cuts_no_call(plugged: Plugged, tmp_path: Path) -> None:
    """The one before must have gone well: the box is in, and both telephones are registered."""
    lab, box = plugged.lab, plugged.box
    waiting_s = LINK_S * read_patience()
    before = read_page()
    with serve_newer(lab, tmp_path) as (version, bundles):
        with keep_reading(box):
            here, there = lab.phones["201"], lab.phones["101"]
            start_call(here, there, "101")
            merge_image(lab, version, bundles)
            wait_until(
                lambda: read_update(lab, SALTO).state == "waits",
                TOLD_S * read_patience(),
                "the box was told, and has a call",
            )
            began_s = time.monotonic()
            end_call(here, there)
            wait_until(
                lambda: read_update(lab, SALTO).state in ("installed", "restarting"),
                INSTALL_S * read_patience(),
                f"it has installed {version} ({read_update(lab, SALTO)})",
            )
            print(f"  installed: {time.monotonic() - began_s:.1f} s after the call")
        box.wait_end(waiting_s)
        here.stop()
        assert box.start(os.environ.get("MORE", "")) == BOOT_B
        box.follow({"committed": "RITI slot B is committed"}, START_S, print)
    with keep_reading(box):
        wait_until(
            lambda: (told := read_told(lab, SALTO)) is not None and told.judged == "good",
            waiting_s,
            f"the controller knows that it went well ({read_told(lab, SALTO)}, {read_update(lab, SALTO)})",
        )
        after = read_page()
        assert (after["version"], after["slot"], after["committed"]) == (version, "B", True)
        assert after["serial"] == before["serial"] and before["version"] != version
        assert lab.offices[MONTEVIDEO].read_word().link == "up"
        call(*plugged.dial(waiting_s))


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


def call(first: End, second: End) -> None:
    """One call, whose both ends hear each other. An end is telephone, number, tone."""
    (caller, own, own_hz), (callee, number, number_hz) = first, second
    start_call(caller, callee, number)
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
    end_call(caller, callee)


def start_call(caller: Phone, callee: Phone, number: str) -> None:
    caller.dial(number)
    callee.wait_for("ringing", CALL_S)
    callee.answer()
    caller.wait_for("established", CALL_S)


def end_call(caller: Phone, callee: Phone) -> None:
    caller.hang_up()
    callee.wait_for("closed", CALL_S)
