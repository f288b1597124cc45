"""Acme's two offices, let in by their cards at the demo's fleet, and telephones that talk by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ritilib.devstack.demo.deploy import ON_ENROLL, deploy, make_repository, merge_change
from ritilib.devstack.demo.enroll import is_open, power_on, run_gateway, run_service, write_card
from ritilib.devstack.demo.lab import FLEET, Lab
from ritilib.devstack.demo.pbx import is_linked
from ritilib.devstack.demo.talk import CALLEE_HZ, CALLER_HZ, MONTEVIDEO, SALTO, Ear, connect_phone
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.agent import build_agent
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone import Phone
from ritilib.sync.enroll.found import read_bindings
from tests.integration.stacks import hold_stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet"
OFFICES = (MONTEVIDEO, SALTO)
LINK_S, CALL_S = 180.0, 20.0

Talk = tuple[
    tuple[str, Phone], tuple[str, Phone]
]  # number and telephone, of who called and of who was called


@contextmanager
def hold_offices(
    folder: Path, change: Callable[[Path], None] = lambda fleet: None
) -> Iterator[tuple[Lab, dict[str, Path]]]:
    """The fleet and the cards, once both offices are in; change edits its files before. No controller runs then.

    On a stack of its own: the demo's fleet stays at its servers, and others have a fleet of the same name.
    """
    with hold_stack(folder / "stack") as stack:
        yield from _open_offices(stack, folder, change)


def _open_offices(
    stack: Stack, folder: Path, change: Callable[[Path], None]
) -> Iterator[tuple[Lab, dict[str, Path]]]:
    lab = Lab(folder, stack.state, print, stack)
    build_agent(stack.docker_host, find_cache(), print)
    made = Step(0, "")
    make_repository(lab, made, EXAMPLE, ON_ENROLL)
    change(lab.work / "fleet")
    merge_change(lab, "Acme and Zorro get their telephones")
    try:
        deploy(lab, made)
        run_gateway(lab)
        cards = {key: write_card(lab, key, key.replace("/", "-")) for key in OFFICES}
        with run_service(lab):
            wait_until(lambda: is_open(lab), LINK_S, "the controller lets the boxes ask")
            for key, card in cards.items():
                power_on(lab, key, card)
            for key in cards:
                print(f"{key}: linked after {lab.offices[key].wait_linked(LINK_S):.1f} s")
                wait_until(
                    partial(is_linked, lab, key), LINK_S, f"the PBX of {key} sees its box and its peers"
                )
                wait_until(
                    partial(is_settled, lab, key), LINK_S, f"{key} is in, and nobody may ask by its card"
                )
        assert [fact for fact in made.facts if not fact.held] == []
        yield lab, cards
    finally:
        for phone in lab.phones.values():
            phone.stop()
        for office in lab.offices.values():
            office.stop()


def begin_talk(lab: Lab, caller: tuple[str, str], callee: tuple[str, str]) -> Talk:
    """Two telephones, each by office and number, once they talk."""
    (home, number), (away, called) = caller, callee
    first = connect_phone(lab, home, number, CALLER_HZ)
    second = connect_phone(lab, away, called, CALLEE_HZ)
    first.dial(called)
    second.wait_for("ringing", CALL_S)
    second.answer()
    first.wait_for("established", CALL_S)
    return (number, first), (called, second)


def listen(talk: Talk) -> tuple[Ear, Ear]:
    """Both ends of a call, from now on."""
    first, second = (
        Ear(number, phone.recording, tone, phone.recording.length_s(), phone.recording.missing_s())
        for (number, phone), tone in zip(talk, (CALLEE_HZ, CALLER_HZ), strict=True)
    )
    return first, second


def is_settled(lab: Lab, key: str) -> bool:
    """Whether the box is bound, and its card is worth nothing any more."""
    binding = read_bindings(lab.consul, FLEET).bindings[key]
    return binding.state == "bound" and not binding.open
