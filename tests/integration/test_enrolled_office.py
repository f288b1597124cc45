"""Two offices that enrolled by a card, on one stack: a bad configuration, a revoked box, and its successor.

The tests follow each other. Seconds are printed; what is waited for has the issue's bound as its deadline, or a longer
one where there is none.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ritilib.box.clock import Clock, find_window
from ritilib.box.gateway import Gateway
from ritilib.box.own import GatewayOwn
from ritilib.box.store import IDENTITY_CRT, IDENTITY_KEY
from ritilib.devstack.demo.deploy import merge_change
from ritilib.devstack.demo.enroll import power_on, run_service, write_card
from ritilib.devstack.demo.lab import FLEET, Lab
from ritilib.devstack.demo.pbx import find_running, is_linked, job_of
from ritilib.devstack.demo.talk import CALLEE_HZ, MONTEVIDEO, SALTO, connect_phone, judge_audio
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.telephony.joined_office import JoinedOffice
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.probe import probe_iax
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE, read_card
from ritilib.errors import Denied, RitiError
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.sync.enroll.found import read_bindings
from ritilib.sync.seen.boxes import look_at_box
from ritilib.sync.seen.look import look_at_fleet
from tests.integration.enrolled import (
    CALL_S,
    LINK_S,
    Talk,
    begin_talk,
    hold_offices,
    is_settled,
    listen,
)

NAMES = UnitNames(FLEET, "acme", "salto")
TAKEN_S = 120.0
CLOSED_S = 60.0  # the bound for a revoked box
POLL_S = 1.0  # a forge's hook is faster
PROBE_S = 2.0
SECOND = '  - number: "102"\n    name: Taller\n    phone: sip\n'
OTHER_SERIAL = "10000000aabbccdd"


@dataclass
class Key:
    """A box's certificate in other hands, with the tokens that it had."""

    servers: GatewayOwn
    vault_token: str
    consul_token: str

    def is_shut_out_of_vault(self) -> bool:
        """Neither the certificate opens anything, nor a token that lives still."""
        return is_denied(self.servers.login_by_certificate) and is_denied(
            lambda: self.servers.read_document(self.vault_token)
        )

    def is_shut_out_of_consul(self) -> bool:
        return all(
            is_denied(partial(self.servers.read, self.consul_token, key))
            for key in (NAMES.box_kv_key, EnrollmentNames(FLEET).blocked, NAMES.enroll_reply)
        )


def is_denied(act: Callable[[], object]) -> bool:
    try:
        act()
    except Denied:
        return True
    return False


def take_key(office: JoinedOffice, card: Path, into: Path) -> Key:
    """Copy what a thief would, and log in by it."""
    into.mkdir()
    for name in (IDENTITY_CRT, IDENTITY_KEY):
        shutil.copy(office.folder / "data" / name, into / name)
    join, claim = read_card((card / JOIN_FILE).read_bytes(), (card / CLAIM_FILE).read_text())
    clock = Clock(find_window(claim, (into / IDENTITY_CRT).read_text()))
    servers = GatewayOwn(Gateway(join.gateway, join.ca, clock), join.names, join.datacenter)
    servers.use_certificate(into / IDENTITY_CRT, into / IDENTITY_KEY)
    return Key(servers, *servers.sign_in())


@dataclass
class World:
    lab: Lab
    cards: dict[str, Path]
    talk: Talk

    def status(self, *words: str, expected: int) -> Any:
        """What `riti status` prints as JSON."""
        said = self.lab.run_riti(
            "status", *words, "--fleet", FLEET, "--json", extra=self.lab.management, expected=expected
        )
        return json.loads(said)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two telephones of Montevideo talk."""
    with hold_offices(tmp_path_factory.mktemp("lab"), add_telephone) as (lab, cards):
        yield World(lab, cards, begin_talk(lab, (MONTEVIDEO, "101"), (MONTEVIDEO, "102")))


def add_telephone(fleet: Path) -> None:
    """A second one, and a thief who tries all the time is not held back by the limit of requests, which would look like
    being shut out."""
    settings, montevideo = fleet / "fleet.yaml", fleet / "boxes" / f"{MONTEVIDEO}.yaml"
    often = '"requests_per_s": 1000, "address_requests_per_s"'
    settings.write_text(settings.read_text().replace('"address_requests_per_s"', often))
    montevideo.write_text(montevideo.read_text() + SECOND)


def test_a_truncated_value_leaves_the_running_configuration_and_status_says_so(world: World) -> None:
    lab = world.lab

    def has_told() -> bool:
        report = world_report(lab)
        return report["confirmed"] and report["link"] == "up"

    # it may have confirmed its value before it has looked at its link
    wait_until(has_told, TAKEN_S, "Salto's box has told what it has in force, and that its link is up")
    before, held = world_report(lab), lab.consul.read(NAMES.box_kv_key)
    assert held and (before["link"], before["why"], before["refused"]) == ("up", "", None)
    link = (lab.offices[SALTO].folder / "data/configuration/current").readlink()
    lab.consul.write(held.key, held.value[: len(held.value) // 2], held.modify_index)
    wait_until(lambda: "refused" in world_report(lab)["why"], TAKEN_S, "Salto's box says that it is refused")
    unit = world.status(SALTO, expected=1)
    assert unit["box"]["state"] == "bound" and "the live value is refused" in unit["box"]["why"]
    assert any("its box: the live value is refused" in one for one in unit["lacks"])
    fleet = world.status(expected=1)
    assert any(one.startswith(f"{SALTO}: the live value is refused") for one in fleet["why"])
    shown = lab.run_riti("status", "acme", "--fleet", FLEET, extra=lab.management, expected=1)
    assert "the live value is refused" in shown
    after = unit["box"]["report"]
    assert (after["in_force"], after["commit"], after["link"]) == (before["in_force"], before["commit"], "up")
    assert (lab.offices[SALTO].folder / "data/configuration/current").readlink() == link
    entry = lab.consul.read(NAMES.box_kv_key)
    assert entry
    lab.consul.write(entry.key, held.value, entry.modify_index)
    wait_until(lambda: world_report(lab)["why"] == "", TAKEN_S, "Salto's box is well again")


def world_report(lab: Lab) -> dict[str, Any]:
    """What Salto's box says of itself, as `riti status` has it."""
    report = look_at_box(NAMES, lab.consul).report
    return report.model_dump() if report else {"confirmed": False, "why": "nothing yet"}


def test_a_revoked_box_is_closed_out_everywhere_and_no_other_call_notices(
    world: World, tmp_path: Path
) -> None:
    lab = world.lab
    salto, beside = lab.offices[SALTO], lab.offices[MONTEVIDEO].peer_address
    key = take_key(salto, world.cards[SALTO], tmp_path / "key")
    assert not key.is_shut_out_of_vault() and not key.is_shut_out_of_consul()
    assert probe_iax(salto.pid, beside, PROBE_S), (
        "before, the box reaches the PBX of its company's other office"
    )
    running, ears = find_running(lab, MONTEVIDEO).id, listen(world.talk)
    lab.run_riti("enroll", "revoke", SALTO, "--repo", str(lab.work))
    merge_change(lab, "Salto's box was stolen")
    merged_s = time.monotonic()
    with run_service(lab, POLL_S):
        wait_closed(lab, key, merged_s, ("Vault", "Consul", "the overlay", "its PBX"))
    log = (lab.state / "logs" / "controller.log").read_text()
    assert "its box is revoked" in log
    caller = world.talk[0][1]
    with caller.second_call("201") as call:
        began_s = time.monotonic()
        caller.wait_for("closed", CALL_S, call)
        print(f"201: {call.reason} after {time.monotonic() - began_s:.1f} s")
    assert call.reason.startswith("503"), "a clear tone, made by the telephone: no way is left"
    step = Step(0, "")
    judge_audio(step, ears, 3.0)
    assert [f"{fact.what}: {fact.figure}" for fact in step.facts if not fact.held] == []
    assert find_running(lab, MONTEVIDEO).id == running


def wait_closed(lab: Lab, key: Key, since_s: float, doors: tuple[str, ...]) -> None:
    """Until all of these are closed to Salto's box, within the issue's bound from when it was revoked."""
    salto, beside = lab.offices[SALTO], lab.offices[MONTEVIDEO].peer_address
    closed: dict[str, Callable[[], bool]] = {
        "Vault": key.is_shut_out_of_vault,
        "Consul": key.is_shut_out_of_consul,
        "the overlay": lambda: not probe_iax(salto.pid, beside, PROBE_S),
        "its PBX": lambda: not is_job_alive(lab, SALTO),
    }
    for what in doors:
        left_s = CLOSED_S - (time.monotonic() - since_s)
        wait_until(closed[what], left_s, f"{what} is closed to the revoked box")
        print(f"{what}: closed after {time.monotonic() - since_s:.1f} s")


def is_job_alive(lab: Lab, key: str) -> bool:
    return any(one.client_status == "running" for one in lab.nomad.list_allocations(job_of(key)))


def test_new_hardware_with_a_new_card_is_in(world: World, tmp_path: Path) -> None:
    lab = world.lab
    old = take_files(lab.offices[SALTO], tmp_path / "old")
    with pytest.raises(RitiError):
        write_card(lab, SALTO, "too-early")  # it is revoked
    lab.run_riti("enroll", "replace", SALTO, "--serial", OTHER_SERIAL, "--repo", str(lab.work))
    merge_change(lab, "Salto gets another box")
    card = world.cards[SALTO] = write_card(lab, SALTO, "salto-again")
    with run_service(lab, POLL_S):
        wait_until(lambda: is_expected(lab, 2), CLOSED_S, "the next hardware may ask")
        office = power_on(lab, SALTO, card)
        print(f"the new box: linked after {office.wait_linked(LINK_S):.1f} s")
        wait_until(partial(is_settled, lab, SALTO), LINK_S, "it is in, and nobody may ask by its card")
        # its PBX, which was stopped, is judged before calls pass its door
        wait_until(partial(is_well, lab), LINK_S, "all is well")
    bound = read_bindings(lab.consul, FLEET).bindings[SALTO]
    assert (bound.state, bound.generation, bound.serial) == ("bound", 2, OTHER_SERIAL)
    assert (office.folder / "data" / IDENTITY_CRT).read_text() != (old / IDENTITY_CRT).read_text()
    callee = connect_phone(lab, SALTO, "201", CALLEE_HZ)
    caller = world.talk[0][1]
    # each looks at the other of its own accord: that the box has its PBX does not say that the PBX has its box
    wait_until(partial(is_linked, lab, SALTO), LINK_S, "Salto's PBX sees its box and its peers")
    wait_until(partial(is_linked, lab, MONTEVIDEO), LINK_S, "Montevideo's PBX reaches Salto's again")

    def rings() -> bool:
        with caller.second_call("201"):
            return callee.take_ring(CALL_S) is not None

    # a peer's overlay may hold the tunnel to the PBX that was stopped for some seconds more
    wait_until(rings, LINK_S, "a call to the office of the new box rings")


def test_a_box_is_closed_out_at_once_and_git_catches_up(world: World, tmp_path: Path) -> None:
    lab = world.lab
    salto, beside = lab.offices[SALTO], lab.offices[MONTEVIDEO].peer_address
    key = take_key(salto, world.cards[SALTO], tmp_path / "key")
    assert not key.is_shut_out_of_vault() and not key.is_shut_out_of_consul()
    assert probe_iax(salto.pid, beside, PROBE_S)
    with run_service(lab, POLL_S):
        words = ("enroll", "revoke", SALTO, "--now", "--repo", str(lab.work))
        revoked_s = time.monotonic()
        said = lab.run_riti(*words, extra=lab.management)
        wait_closed(lab, key, revoked_s, ("Vault", "Consul", "the overlay"))
        # the PBX is the merged fleet's, which has not said it yet
        assert "Git has to catch up" in said and is_job_alive(lab, SALTO)
        merge_change(lab, "Salto's box was stolen, too")
        wait_closed(lab, key, time.monotonic(), ("its PBX",))
    bound = read_bindings(lab.consul, FLEET).bindings[SALTO]
    assert (bound.state, bound.generation, bound.done) == ("revoked", 2, True)


def is_well(lab: Lab) -> bool:
    return look_at_fleet(FLEET, lab.nomad, lab.consul, datetime.now(UTC)).judge() == ("well", ())


def take_files(office: JoinedOffice, into: Path) -> Path:
    into.mkdir()
    for name in (IDENTITY_CRT, IDENTITY_KEY):
        shutil.copy(office.folder / "data" / name, into / name)
    return into


def is_expected(lab: Lab, generation: int) -> bool:
    binding = read_bindings(lab.consul, FLEET).bindings[SALTO]
    return (binding.state, binding.generation, binding.open) == ("expected", generation, True)
