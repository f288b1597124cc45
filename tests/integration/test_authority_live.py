"""The overlay's authority replaced under a call: enrolled boxes with their agents, PBXes and a lighthouse of Nomad."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from ritilib.devstack.demo.deploy import merge_change
from ritilib.devstack.demo.enroll import run_service
from ritilib.devstack.demo.lab import FLEET, Lab
from ritilib.devstack.demo.pbx import find_running, job_of, read_tasks
from ritilib.devstack.demo.talk import MONTEVIDEO, SALTO, judge_audio
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.overlay.probe import Stream
from ritilib.devstack.processes import poll
from ritilib.devstack.telephony.office import wait_until
from ritilib.reconcile.authority import Standing, read_standing
from ritilib.render.names import SECOND_OVERLAY, UnitNames, read_generation
from ritilib.sync.observe import Places
from ritilib.sync.overlay.kept import read_kept
from ritilib.sync.overlay.members import CA_FILE, CRT_FILE
from ritilib.sync.seen.boxes import Report, look_at_box
from ritilib.sync.seen.look import look_at_fleet
from tests.integration.enrolled import LINK_S, OFFICES, Talk, begin_talk, hold_offices, listen

PHASE_S, POLL_S = 400.0, 1.0
# Where two suites share two cores, telephones themselves sleep through 0.9 % of a call of minutes (measured over 215 s,
# with no packet lost in the overlay); what the overlay loses is counted to the packet.
LOST_SHARE_MOST = 0.02


@dataclass
class World:
    lab: Lab
    talk: Talk

    @property
    def standing(self) -> Standing:
        held = self.lab.consul.read(Places(FLEET).authority)
        return read_standing(held.key, held.value) if held else Standing()

    def read_report(self, key: str) -> Report:
        return look_at_box(UnitNames(FLEET, *key.split("/")), self.lab.consul).report or Report()

    def read_file(self, key: str, path: str) -> str:
        """Of the overlay's task of a unit, without the line that Nomad's template ends with."""
        found = self.lab.nomad.read_alloc_file(find_running(self.lab, key).id, path)
        assert found is not None
        return found.decode().removesuffix("\n")

    def find_overlay(self, key: str) -> int:
        state = self.lab.docker.inspect(f"overlay-{find_running(self.lab, key).id}")["State"]
        return int(state["Pid"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A telephone of the one office talks with one of the other."""
    with hold_offices(tmp_path_factory.mktemp("lab")) as (lab, _):
        yield World(lab, begin_talk(lab, (MONTEVIDEO, "101"), (SALTO, "201")))


def find_pbx(world: World, key: str) -> str:
    """The overlay address that a PBX has of its two."""
    entry = world.lab.consul.read(UnitNames(FLEET, *key.split("/")).generation)
    is_second = read_generation(entry.value if entry else None) % 2
    said = json.loads((world.lab.work / f"rendered/{key}/pbx/secrets.json").read_text())
    return str(said[SECOND_OVERLAY if is_second else "overlay"]["network"].split("/")[0])


def list_authorities(bundle: str) -> set[str]:
    """Whoever signs stands first, which may change between two looks."""
    return set(re.findall(r"-----BEGIN [^-]+-----.+?-----END [^-]+-----", bundle, re.DOTALL))


def wait_phase(world: World, phase: str) -> None:
    """Return when the rotation is there; where it does not come to that, it and the controller are quoted."""
    if not poll(lambda: world.standing.phase == phase, PHASE_S):
        log = (world.lab.state / "logs" / "controller.log").read_text().splitlines()[-40:]
        pytest.fail(f"it is not {phase}: {world.standing}\n" + "\n".join(log))


def test_a_call_is_held_through_the_whole_rotation_and_no_packet_is_lost(world: World) -> None:
    lab = world.lab
    tasks, old = read_tasks(lab), read_kept(lab.vault, FLEET)
    [lighthouse] = [key for key in ("lighthouse/one",) if lab.nomad.find_running(job_of(key))]
    units = (*OFFICES, lighthouse)
    overlays = {key: world.find_overlay(key) for key in units}
    # the call's whole way, and one more
    streams = {
        "one box to its PBX": Stream(lab.offices[MONTEVIDEO].pid, find_pbx(world, MONTEVIDEO)),
        "the other box to its PBX": Stream(lab.offices[SALTO].pid, find_pbx(world, SALTO)),
        "PBX to PBX": Stream(world.find_overlay(MONTEVIDEO), find_pbx(world, SALTO)),
        "the other box to the first PBX": Stream(lab.offices[SALTO].pid, find_pbx(world, MONTEVIDEO)),
    }
    assert poll(lambda: all(one.count_heard() > 10 for one in streams.values()), LINK_S)
    ears = listen(world.talk)
    fleet = lab.work / "fleet" / "fleet.yaml"
    fleet.write_text(fleet.read_text() + "overlay_authority: {generation: 2, at_once: true}\n")
    merge_change(lab, "The overlay gets another authority")
    with run_service(lab, POLL_S):
        wait_until(lambda: world.standing.phase == "spreading", LINK_S, "both are trusted")
        _, why = look_at_fleet(FLEET, lab.nomad, lab.consul, datetime.now(UTC)).judge()
        assert any(one.startswith("authority 2 of the overlay is introduced beside 1") for one in why), why
        wait_phase(world, "renewing")
        both = list_authorities(read_kept(lab.vault, FLEET).authority.trusted)
        assert len(both) == 2
        for key in units:
            assert list_authorities(world.read_file(key, CA_FILE)) == both
        for key in OFFICES:
            assert list_authorities((lab.offices[key].folder / "data/overlay/ca.crt").read_text()) == both
        wait_phase(world, "settled")
        new = read_kept(lab.vault, FLEET)
        wait_until(
            lambda: all(world.read_file(key, CA_FILE) == new.signer.crt for key in units),
            LINK_S,
            "tasks trust the new one alone",
        )
        wait_until(
            lambda: all(world.read_report(key).overlay_edition == new.standing.edition for key in OFFICES),
            LINK_S,
            "so do boxes",
        )
    issuer = lab.overlay.read_certificate(new.signer.crt).fingerprint
    crts = [world.read_file(key, CRT_FILE) for key in units]
    crts += [(lab.offices[key].folder / "data/overlay/host.crt").read_text() for key in OFFICES]
    assert {lab.overlay.read_certificate(crt).issuer for crt in crts} == {issuer}
    assert new.signer.crt != old.signer.crt
    # some more time on the new one alone
    counts = {name: one.sent for name, one in streams.items()}
    assert poll(lambda: all(one.sent > counts[name] + 1500 for name, one in streams.items()), LINK_S)
    step = Step(0, "")
    judge_audio(step, ears, 3.0, LOST_SHARE_MOST * ears[0].recording.length_s())
    for fact in step.facts:
        print(f"{fact.what}: {fact.figure}")
    lost = {name: (len(one.end()), one.sent) for name, one in streams.items()}
    print(f"lost, of sent: {lost}")
    assert [f"{fact.what}: {fact.figure}" for fact in step.facts if not fact.held] == []
    assert [count for count, _ in lost.values()] == [0, 0, 0, 0]
    assert read_tasks(lab) == tasks
    assert {key: world.find_overlay(key) for key in units} == overlays
