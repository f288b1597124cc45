"""A rotation of the overlay's authority on a real Consul and OpenBao, with a leader's narrow rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ritilib.clients.vault import KV_MOUNT, Vault
from ritilib.fleet.fleet_file import OverlayAuthority
from ritilib.reconcile.authority import CERTIFICATE_HOURS, TIMING, Phase
from ritilib.sync.overlay.kept import name_document
from tests.enroll.servers import Light
from tests.overlay.world import RIVERA, SALTO, UNITS, Fleet, make_fleet

TWO = OverlayAuthority(generation=2)
DAY_S = 24 * 3600.0
MOST_CYCLES = 60


@pytest.fixture
def world(light: Light, fleet: str) -> Fleet:
    return start(make_fleet(light, fleet))


def start(made: Fleet) -> Fleet:
    """Both boxes are in, and everything runs as it is wished."""
    made.sync()
    made.deliver()
    for key in (RIVERA, SALTO):
        made.let_in(key)
    made.sync()
    return made


def turn(made: Fleet, *offline: str) -> None:
    """A cycle, and everybody who is there takes what it is told."""
    made.sync()
    made.deliver()
    for key, box in made.boxes.items():
        if key not in offline:
            made.follow(box)
            if made.needs_renewal(box) and made.now.isoformat() >= box.trust.renew_from:
                made.renew(box)


def go_on(made: Fleet, phase: Phase, *offline: str, pause_s: float = 61.0) -> None:
    """Until it has come so far."""
    for _ in range(MOST_CYCLES):
        wished = made.asked.generation if phase != "spreading" else made.standing.generation
        if (made.standing.phase, made.standing.generation) == (phase, wished):
            return
        turn(made, *offline)
        made.pass_time(pause_s)
    raise AssertionError(made.standing)


def list_issuers(made: Fleet) -> set[str]:
    """Whose certificates are in use."""
    tool = made.servers[0].overlay
    crts = [files["host.crt"] for files in made.files.values()]
    crts += [box.reply.overlay_crt for box in made.boxes.values() if box.reply]
    return {tool.read_certificate(crt).issuer for crt in crts}


def find_fingerprint(made: Fleet) -> str:
    return made.servers[0].overlay.read_certificate(made.kept.signer.crt).fingerprint


def test_a_fleet_that_never_rotates_is_asked_nothing_and_told_nothing(world: Fleet) -> None:
    assert world.consul.read(f"riti/{world.fleet}/inventory/_authority") is None
    document = world.vault.read_document(world.name(SALTO).document)
    box = world.vault.read_document(world.name(SALTO).box_document)
    assert document and set(document.data["overlay"]) == {"ca", "crt", "key"}
    assert box and "overlay" not in box.data


def test_from_one_authority_to_another(world: Fleet, light: Light) -> None:
    old, old_key = find_fingerprint(world), world.kept.signer.key
    world.asked = TWO
    go_on(world, "spreading")
    old_crt = world.kept.signer.crt
    turn(world)
    assert world.kept.other and world.kept.other.crt != old_crt
    # both are trusted everywhere, and the old one signs
    assert {files["ca.crt"] for files in world.files.values()} == {world.kept.authority.trusted}
    assert {world.list_trusted(box)[0] for box in world.boxes.values()} == {world.kept.authority.trusted}
    assert world.kept.authority.trusted.count("-----BEGIN") == 2 and list_issuers(world) == {old}
    go_on(world, "renewing")
    new = find_fingerprint(world)
    assert new != old and world.standing.generation == 2
    go_on(world, "forgetting", pause_s=3600.0)
    assert list_issuers(world) == {new}
    go_on(world, "settled")
    turn(world)
    assert {files["ca.crt"] for files in world.files.values()} == {world.kept.signer.crt}
    assert {world.list_trusted(box)[0] for box in world.boxes.values()} == {world.kept.signer.crt}
    assert old_key not in list_everything(light, world)
    before = world.consul.read(f"riti/{world.fleet}/inventory/_authority")
    versions = {key: world.vault.read_document(world.name(key).document) for key in UNITS}
    turn(world)
    assert world.consul.read(f"riti/{world.fleet}/inventory/_authority") == before
    assert {key: world.vault.read_document(world.name(key).document) for key in UNITS} == versions


def list_everything(light: Light, made: Fleet) -> str:
    """All that any version of the authority's document says, by management's rights."""
    vault = Vault(light.settings)
    path = name_document(made.fleet)
    held = vault.find(f"{KV_MOUNT}/metadata/{path}", "look at versions")
    assert held
    said: list[Any] = []
    for number, one in held["versions"].items():
        if not one["destroyed"]:
            said.append(vault.find(f"{KV_MOUNT}/data/{path}?version={number}", "read a version"))
    assert said
    return str(said)


def test_nobody_signs_by_the_new_one_while_a_task_has_not_its_file(world: Fleet) -> None:
    world.asked = TWO
    go_on(world, "spreading")
    world.sync()
    for box in world.boxes.values():
        world.follow(box)
    for _ in range(5):
        world.pass_time(DAY_S)
        world.sync()
    assert world.standing.phase == "spreading" and world.standing.missing_count == len(UNITS)
    assert f"{SALTO}: its overlay has not been given them yet" in world.standing.missing
    world.deliver()
    go_on(world, "renewing")


def test_a_box_that_is_offline_holds_nobody_up_and_comes_back_in_the_middle(world: Fleet) -> None:
    away = world.boxes[RIVERA]
    away.is_seen = False
    world.asked = TWO
    go_on(world, "spreading")
    for _ in range(3):
        turn(world, RIVERA)
        world.pass_time(61)
    assert world.standing.phase == "spreading"
    assert world.standing.missing == (f"box of {RIVERA}: its PBX does not see it",)
    world.pass_time(TIMING.away_s)
    go_on(world, "renewing", RIVERA)
    for _ in range(30):
        turn(world, RIVERA)
        world.pass_time(3600)
    # all others have new certificates, and the old authority stays for this one's
    assert world.standing.phase == "renewing" and world.standing.missing_count == 1
    world.follow(away)
    assert world.needs_renewal(away)
    go_on(world, "settled")
    assert list_issuers(world) == {find_fingerprint(world)}


def test_a_box_that_never_comes_back_is_left_behind_when_its_certificate_has_ended(world: Fleet) -> None:
    world.boxes[RIVERA].is_seen = False
    world.asked = TWO
    go_on(world, "renewing", RIVERA, pause_s=1800)
    began = world.now
    go_on(world, "forgetting", RIVERA, pause_s=DAY_S)
    assert (world.now - began).total_seconds() >= CERTIFICATE_HOURS * 3600


def test_after_a_compromise_who_is_not_there_is_left_behind_at_once(world: Fleet) -> None:
    world.boxes[RIVERA].is_seen = False
    world.asked = OverlayAuthority(generation=2, at_once=True)
    began = world.now
    go_on(world, "settled", RIVERA)
    assert (world.now - began).total_seconds() < 3600
    # it comes back through the gateway, and has new certificates at once
    away = world.boxes[RIVERA]
    world.follow(away)
    assert world.needs_renewal(away)
    world.renew(away)
    assert list_issuers(world) == {find_fingerprint(world)}


def test_an_entry_that_is_behind_is_written_after_vaults(world: Fleet) -> None:
    """As after a crash between the two, or from a backup."""
    world.asked = TWO
    key = f"riti/{world.fleet}/inventory/_authority"
    go_on(world, "renewing")
    held = world.consul.read(key)
    assert held
    world.consul.delete(key, held.modify_index)
    world.sync()
    assert world.standing.core == world.kept.standing
    go_on(world, "settled", pause_s=3600.0)


class Died(Exception):
    """The leader ended right after a write."""


class Dying:
    """A client whose writes are counted, and of which one is the last."""

    def __init__(self, client: Any, count: Callable[[], None], names: tuple[str, ...]) -> None:
        self._client, self._count, self._names = client, count, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in self._names:
            return found

        def call(*said: Any, **more: Any) -> Any:
            answer = found(*said, **more)
            self._count()
            return answer

        return call


def test_killed_after_every_write_it_comes_to_the_same_end(light: Light, fleet: str) -> None:
    """Of one rotation after another: the first is killed at its first write, the second at its second."""
    left = -1

    def count() -> None:
        nonlocal left
        if left == 0:
            left = -1
            raise Died
        left -= left > 0

    def wrap(consul: Any, vault: Any) -> Any:
        writes = ("write", "put", "write_document", "destroy_versions_before")
        return Dying(consul, count, writes), Dying(vault, count, writes)

    world = start(make_fleet(light, fleet, wrap))
    died = 0
    for number in range(1, 200):
        world.asked = OverlayAuthority(generation=number + 1, at_once=True)
        old, left = world.kept.signer.key, number - 1
        ended = False
        for _ in range(MOST_CYCLES):
            try:
                turn(world)
            except Died:
                died, ended = died + 1, True
                world.make_registry()
            world.pass_time(61)
            if world.standing.phase == "settled" and world.standing.generation == number + 1:
                break
        left = -1
        turn(world)
        assert (world.standing.phase, world.standing.generation) == ("settled", number + 1)
        assert world.standing.core == world.kept.standing
        assert list_issuers(world) == {find_fingerprint(world)}
        assert old not in list_everything(light, world)
        if not ended:
            break
    assert died == number - 1 and died > 20
