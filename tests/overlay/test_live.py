"""The rotation under real Nebulas: tunnels that carry packets as voice does, through every phase.

What each member has comes from a real OpenBao through the controller's own step; packets lost are counted. The call
itself, with Asterisk at both ends, is held in tests/integration/test_authority_live.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ritilib.devstack.overlay.probe import Stream
from ritilib.devstack.processes import poll
from ritilib.fleet.fleet_file import OverlayAuthority
from ritilib.reconcile.authority import Timing
from tests.enroll.servers import Light
from tests.overlay.lab import Node, hold_wire
from tests.overlay.test_rotation import find_fingerprint, list_issuers, start
from tests.overlay.world import (
    ADDRESSES,
    BOX_ADDRESSES,
    LIGHTHOUSE,
    RIVERA,
    SALTO,
    Box,
    Fleet,
    make_fleet,
)

# settle_s is more than what Nebula takes until it looks at a tunnel's certificates (10 s at the most)
QUICK = Timing(settle_s=15.0, away_s=1.0, spread_s=5.0, hasty_s=60.0, look_s=0.2, look_late_s=1.0)
PHASE_S = 120.0
SOME = 50


class Lab:
    """The lighthouse, both PBXes, Salto's box, and Rivera's, which is offline at first."""

    def __init__(self, world: Fleet, folder: Path, program: Path) -> None:
        self.world = world
        self.tasks = {
            key: Node(key, place, ADDRESSES[key], folder / str(place), program, key == LIGHTHOUSE)
            for place, key in enumerate((LIGHTHOUSE, RIVERA, SALTO), 1)
        }
        self.boxes = {
            key: Node(f"box.{key}", place, BOX_ADDRESSES[key], folder / str(place), program)
            for place, key in ((4, RIVERA), (5, SALTO))
        }
        # Salto's box as it was on the first day, in other hands: a member with the old authority alone
        self.old = Node("old", 6, BOX_ADDRESSES[SALTO], folder / "6", program)
        self.keys: dict[str, str] = {}

    @property
    def nodes(self) -> list[Node]:
        return [*self.tasks.values(), *self.boxes.values(), self.old]

    @property
    def lighthouse(self) -> Node:
        return self.tasks[LIGHTHOUSE]

    def bring(self) -> None:
        """Everybody has as files what the world says that it has."""
        for key, node in self.tasks.items():
            node.give(self.world.files[key], self.lighthouse)

    def bring_box(self, box: Box) -> None:
        assert box.reply
        ca, _ = self.world.list_trusted(box)
        files = {"ca.crt": ca, "host.crt": box.reply.overlay_crt, "host.key": box.pi.overlay_private}
        self.boxes[box.key].give(files, self.lighthouse)

    def turn(self, *offline: str) -> None:
        """A cycle by the machine's clock."""
        world = self.world
        world.now = datetime.now(UTC)
        world.sync()
        world.deliver()
        self.bring()
        for key, box in world.boxes.items():
            if key in offline:
                continue
            world.follow(box)
            if world.needs_renewal(box) and world.now.isoformat() >= box.trust.renew_from:
                world.renew(box)
            self.bring_box(box)

    def go_on(self, holds: Callable[[], bool], *offline: str) -> None:
        def try_once() -> bool:
            self.turn(*offline)
            return holds()

        assert poll(try_once, PHASE_S), self.world.standing


def wait_more(streams: list[Stream], more: int) -> None:
    """Until each has heard so many more."""
    counts = [one.count_heard() for one in streams]
    assert poll(
        lambda: all(one.count_heard() > count + more for one, count in zip(streams, counts, strict=True)),
        PHASE_S,
    )


def test_no_packet_is_lost_in_any_phase_and_who_has_the_old_one_alone_is_refused(
    light: Light, fleet: str, tmp_path: Path
) -> None:
    world = start(make_fleet(light, fleet))
    world.timing = QUICK
    lab = Lab(world, tmp_path, light.nebula_cert.parent / "nebula")
    away, box = world.boxes[RIVERA], world.boxes[SALTO]
    away.is_seen = False
    with hold_wire(lab.nodes):
        lab.turn(RIVERA)
        first = dict(lab.boxes[SALTO].files)
        pbx, other = lab.tasks[SALTO], lab.tasks[RIVERA]
        named = {
            "box to its PBX": lab.boxes[SALTO].stream(pbx),
            "box to the other PBX": lab.boxes[SALTO].stream(other),
            "PBX to PBX": other.stream(pbx),
        }
        streams = list(named.values())
        assert poll(lambda: all(one.count_heard() > SOME for one in streams), PHASE_S), lab.boxes[SALTO].log
        # what is lost while tunnels are made is no matter of the rotation's
        started = {name: one.sent for name, one in named.items()}
        world.asked = OverlayAuthority(generation=2)
        old = find_fingerprint(world)
        lab.go_on(lambda: world.standing.phase == "spreading", RIVERA)
        lab.go_on(lambda: world.standing.phase == "renewing", RIVERA)
        new = find_fingerprint(world)
        # all that are there have certificates of the new one; the one that is offline holds the old one in place
        lab.go_on(lambda: world.standing.missing_count == 1, RIVERA)
        wait_more(streams, SOME * 20)
        assert world.standing.phase == "renewing" and list_issuers(world) == {old, new}
        # it comes back, hears through the gateway whom to trust, and is in by the certificate that it had
        world.now = datetime.now(UTC)
        world.follow(away)
        lab.bring_box(away)
        away.is_seen = True
        assert world.needs_renewal(away)
        back = lab.boxes[RIVERA].stream(other)
        assert poll(lambda: back.count_heard() > SOME, PHASE_S), lab.boxes[RIVERA].log
        named["box that came back"] = back
        started["box that came back"] = back.sent
        lab.go_on(lambda: world.standing.phase == "settled")
        lab.turn()
        assert {node.files["ca.crt"] for node in [*lab.tasks.values(), *lab.boxes.values()]} == {
            world.kept.signer.crt
        }
        assert list_issuers(world) == {new}
        wait_more([*named.values()], SOME * 20)
        lost = {
            name: [number for number in one.end() if number >= started[name]] for name, one in named.items()
        }
        print("lost, of sent:", {name: (len(lost[name]), one.sent) for name, one in named.items()})
        # who trusts both and has the old certificate knows everybody, and is let in by nobody
        assert box.reply and first["host.crt"] != box.reply.overlay_crt
        lab.boxes[SALTO].stop()
        lab.old.knows = (pbx,)
        lab.old.give({**first, "ca.crt": first["ca.crt"] + world.kept.signer.crt}, lab.lighthouse)
        stale = world.servers[0].overlay.read_certificate(first["host.crt"]).fingerprint
        refused = lab.old.stream(pbx)
        assert poll(lambda: all(refuses(one, stale) for one in (pbx, lab.lighthouse)), PHASE_S), pbx.log
        sent = refused.sent
        assert poll(lambda: refused.sent > sent + SOME * 5, PHASE_S)
        assert refused.count_heard() == 0
        refused.end()
    assert lost == {name: [] for name in lost}


def refuses(node: Node, fingerprint: str) -> bool:
    """Whether Nebula says that it let the bearer of a certificate not in."""
    return any(
        "Invalid certificate from host" in line and fingerprint in line for line in node.log.splitlines()
    )
