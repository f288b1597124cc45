"""Step 5: a gateway, a card for each box, and power; nothing is told to a box after that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ritilib.devstack.demo.deploy import AWAITING, judge_leaks
from ritilib.devstack.demo.lab import FLEET, THIS_RITI, Lab
from ritilib.devstack.demo.pbx import BOXES, find_running, is_linked
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.gateway import write_gateway_secrets
from ritilib.devstack.guests import adopt_process
from ritilib.devstack.processes import end_process, start_process
from ritilib.devstack.telephony.joined_office import JoinedOffice, start_joined_office
from ritilib.devstack.telephony.office import wait_until
from ritilib.fleet.edit_enrollment import read_box
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.names import EnrollmentNames
from ritilib.sync.enroll.found import read_bindings

OPEN_TIMEOUT_S = 60
LINK_TIMEOUT_S = 180  # the bound is judged; one that is later is waited for, so that the figure is seen
LINK_MOST_S = 30.0  # from power to a registered link: what a box is promised
END_S = 30.0
POLL_S = 30.0


def start_offices(lab: Lab, step: Step) -> None:
    """Step 5: the gateway, the controller as a service, and three boxes with a card and nothing else."""
    run_gateway(lab)
    cards = {key: write_card(lab, key, key.replace("/", "-")) for key in BOXES}
    with run_service(lab):
        wait_until(lambda: is_open(lab), OPEN_TIMEOUT_S, "the controller lets the boxes ask")
        for key in BOXES:
            power_on(lab, key, cards[key])
        linked_s = wait_linked(lab)
        for key in BOXES:
            wait_until(
                partial(is_linked, lab, key), LINK_TIMEOUT_S, f"the PBX of {key} sees its box and its peers"
            )
            step.find(
                f"{key}: from network to registered link",
                True,
                f"{linked_s[key]:.1f} s, {lab.offices[key].address}",
            )
        wait_until(lambda: is_shut(lab), OPEN_TIMEOUT_S, "nobody may ask by a card any more")
    worst_s = max(linked_s.values())
    step.find(f"the worst in {LINK_MOST_S:.0f} s", worst_s <= LINK_MOST_S, f"{worst_s:.1f} s")
    made = find_running(lab, AWAITING)
    step.find(f"the PBX of {AWAITING} was made when its box was bound", True, made.id[:8])
    judge_leaks(lab, step, BOXES)


def run_gateway(lab: Lab) -> None:
    """Its secrets in Vault, its job in Nomad."""
    write_gateway_secrets(lab.running, lab.vault, FLEET)
    lab.run_riti("gateway", "run", "--repo", str(lab.forge), extra=lab.management)


def power_on(lab: Lab, key: str, card: Path) -> JoinedOffice:
    """Start an office with this card, whose box says the serial number that the fleet expects; wait for nothing."""
    serial = read_box(read_fleet_files(lab.work), key).serial or ""
    name = key.replace("/", "-")
    lab.offices[key] = start_joined_office(lab.docker, name, card, serial, lab.running.name, lab.report)
    return lab.offices[key]


def write_card(lab: Lab, key: str, name: str) -> Path:
    """What an operator does who may sign claims, and nothing else."""
    card = lab.folder / "cards" / name
    token = lab.vault.create_token((EnrollmentNames(FLEET).claims_policy,), "operator")
    words = ("--ca", str(lab.running.certificates.authority), "--out", str(card), "--repo", str(lab.work))
    lab.run_riti("box", "claim", key, *words, extra=lab.management | {"VAULT_TOKEN": token})
    return card


@contextmanager
def run_service(lab: Lab, poll_s: float = POLL_S) -> Iterator[None]:
    """`riti sync` as it runs in production, with the controller's own tokens; it ends with the block."""
    argv = [sys.executable, "-m", "ritilib", "sync", "--remote", str(lab.forge)]
    argv += ["--mirror", str(lab.folder / "mirror"), "--poll", str(poll_s)]
    lab.report("$ riti " + " ".join(argv[3:]))
    process = start_process(argv, lab.state / "logs" / "controller.log", lab.tokens | THIS_RITI)
    try:
        adopt_process(lab.state, "controller", process)
        yield
    finally:
        end_process(process, END_S)


def is_open(lab: Lab) -> bool:
    """Whether the bearers of all three cards may ask."""
    return set(read_bindings(lab.consul, FLEET).bindings) == set(BOXES)


def is_shut(lab: Lab) -> bool:
    """Whether all three are in, and their cards of no more use."""
    return not any(one.open for one in read_bindings(lab.consul, FLEET).bindings.values())


def wait_linked(lab: Lab) -> dict[str, float]:
    """Box → seconds from its start to its registered link, for all of them at once."""
    linked_s: dict[str, float] = {}

    def all_linked() -> bool:
        for key, office in lab.offices.items():
            if key not in linked_s and office.read_word().link == "up":
                linked_s[key] = office.age_s
        return linked_s.keys() == lab.offices.keys()

    try:
        wait_until(all_linked, LINK_TIMEOUT_S, "every box is linked to its PBX")
    finally:
        for key in lab.offices.keys() - linked_s.keys():
            lab.report(f"{key} says: {lab.offices[key].read_report()}")
    return linked_s
