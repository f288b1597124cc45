"""A fleet of two offices and a lighthouse, of which one may rotate the authority: real Consul, OpenBao, nebula-cert.

Nomad's part alone is played: its templates write what documents say into an allocation's files, when a test lets them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ritilib.box.kept import Trust
from ritilib.box.overlay import choose_authorities, understand_trust
from ritilib.box.report import Report
from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.protocols import ConsulClient, VaultClient
from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT, Vault
from ritilib.enroll.reply import Reply
from ritilib.fleet.fleet_file import OverlayAuthority
from ritilib.gitops.company import Unit
from ritilib.gitops.desired import Desired
from ritilib.reconcile.authority import TIMING, Standing, Timing, read_standing
from ritilib.render.rules import EnrollmentRules
from ritilib.sync.enroll.prepare import prepare_enrollment
from ritilib.sync.observe import Places
from ritilib.sync.once import sync_once
from ritilib.sync.overlay.kept import Kept, connect_authority, name_document, read_kept
from ritilib.sync.overlay.rotation import AUTHORITY_HOURS
from ritilib.sync.synced import Synced
from ritilib.sync.unit.apply import JWT_MOUNT, Servers
from tests.enroll.offices import FLEET_ID, Office
from tests.enroll.servers import Light
from tests.enroll.test_promises import make_leader
from tests.fakes.nomad import FakeNomad
from tests.unit.enroll.boxes import SERIAL, Pi, find_public, make_key
from tests.unit.removing import JOB

SALTO, RIVERA, LIGHTHOUSE = "acme/salto", "acme/rivera", "lighthouse/one"
UNITS = (LIGHTHOUSE, RIVERA, SALTO)
ADDRESSES = {LIGHTHOUSE: "100.80.0.1", RIVERA: "100.80.0.5", SALTO: "100.80.0.6"}
BOX_ADDRESSES = {RIVERA: "100.80.1.5", SALTO: "100.80.1.6"}
WORD = "alloc/data/pbx.json"


@dataclass
class Box:
    """One box: its hardware, the reply that it has, and what its document said of authorities last."""

    pi: Pi
    key: str
    reply: Reply | None = None
    trust: Trust = field(default_factory=Trust)
    is_seen: bool = True  # by its PBX


@dataclass
class Fleet(Office):
    """asked is what fleet.yaml says; files are those of each unit's overlay task; boxes by key."""

    timing: Timing = TIMING
    asked: OverlayAuthority = field(default_factory=OverlayAuthority)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)

    def read_desired(self) -> Desired:
        units = tuple(self._make_unit(key) for key in UNITS)
        commit = f"commit {self.commits}"
        return Desired(self.fleet, FLEET_ID, "root", commit, units, (), authority=self.asked)

    def _make_unit(self, key: str) -> Unit:
        names, company = self.name(key), key.split("/")[0]
        overlay = {"name": key, "network": f"{ADDRESSES[key]}/16", "groups": [company]}
        pairs = {} if key == LIGHTHOUSE else {"box": [key, f"{key} box"]}
        files = {
            "pbx/job.nomad.hcl": JOB.format(job_id=names.job_id, fleet_id=FLEET_ID, key=key),
            "pbx/secrets.json": json.dumps({"overlay": overlay, "pairs": pairs, "generation": 1}),
            "pbx/consul-policy.hcl": f'key "{names.kv_key}" {{\n  policy = "read"\n}}\n',
            "pbx/vault-policy.hcl": f'path "{names.vault_path}" {{\n  capabilities = ["read"]\n}}\n',
        }
        if key == LIGHTHOUSE:
            return Unit(key, "lighthouse", files)
        of_box = {
            "overlay": {"name": f"box.{key}", "network": f"{BOX_ADDRESSES[key]}/16", "groups": [company]},
            "pairs": {"cloud": [key, f"{key} box"]},
            "phones": [],
            "generation": 1,
        }
        files |= {"box/secrets.json": json.dumps(of_box), "box/etc/iax.conf": f"; the box of {key}\n"}
        return replace(Unit(key, "pbx", files), enrollment=self.wish.get(key, EnrollmentRules(serial=SERIAL)))

    def sync(self) -> Synced:
        """One cycle, as the controller has it."""
        done = sync_once(
            self.read_desired(),
            self.servers[0],
            (),
            lambda line: None,
            wait=False,
            clock=lambda: self.now,
            timing=self.timing,
        )
        assert done.problems == (), done.problems
        return done

    @property
    def standing(self) -> Standing:
        held = self.consul.read(Places(self.fleet).authority)
        return read_standing(held.key, held.value) if held else Standing()

    @property
    def kept(self) -> Kept:
        return read_kept(self.vault, self.fleet)

    def deliver(self, *keys: str) -> None:
        """What Nomad's templates do: the document of the version that the live value names, as files."""
        for key in keys or UNITS:
            live = self.consul.read(self.name(key).kv_key)
            document = self.vault.read_document(self.name(key).document)
            assert live and document
            said = document.data["overlay"]
            self.files[key] = {"ca.crt": said["ca"], "host.crt": said["crt"], "host.key": said["key"]}

    def let_in(self, key: str) -> Box:
        """A box enrolls by a card."""
        box = self.boxes[key] = Box(self.make_box(key), key)
        self.enroll(box.pi, self.make_claim(key), key)
        box.reply = self.read_reply(key)
        self.tell(box)
        return box

    def renew(self, box: Box) -> None:
        """It asks for certificates anew, as it does when they are due."""
        box.pi.advanced = Pi().advanced
        self.advance(box.pi, box.key)
        self.put_request(box.pi.ask(None), box.key)
        self.settle()
        box.reply = self.read_reply(box.key)
        assert box.reply and box.reply.state == "bound"
        self.tell(box)

    def follow(self, box: Box) -> None:
        """It reads its document, as when its live value has changed."""
        document = self.vault.read_document(self.name(box.key).box_document)
        box.trust = (understand_trust(document.data) if document else None) or box.trust
        self.tell(box)

    def needs_renewal(self, box: Box) -> bool:
        assert box.reply
        return box.reply.overlay_authority < box.trust.authority

    def list_trusted(self, box: Box) -> tuple[str, int]:
        """What its overlay trusts, and the edition of it."""
        assert box.reply
        return choose_authorities(box.reply.overlay_ca, box.reply.overlay_edition, box.trust)

    def tell(self, box: Box) -> None:
        """It says what its overlay has."""
        assert box.reply
        report = Report("1", overlay_edition=self.list_trusted(box)[1])
        said = replace(report, overlay_authority=box.reply.overlay_authority)
        self.consul.put(self.name(box.key).box_report, said.encode())

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def read_file(self, allocation: str, path: str) -> bytes | None:
        nomad = self.servers[0].nomad
        [key] = [key for key in UNITS if allocation in nomad.find_running(self.name(key).job_id)]
        if path != WORD:
            folder, _, name = path.partition("/local/")
            assert folder == "overlay"
            found = self.files.get(key, {}).get(name)
            # the line is of Nomad's template
            return f"{found}\n".encode() if found else None
        box = self.boxes.get(key)
        link = "up" if box and box.is_seen else "down"
        said: dict[str, Any] = {"status": "idle", "channels": 0, "acknowledged": {}, "unacknowledged": {}}
        return json.dumps({**said, "link": link}).encode()


def make_fleet(
    light: Light,
    fleet: str,
    wrap: Callable[[ConsulClient, VaultClient], tuple[ConsulClient, VaultClient]] = lambda *both: both,
) -> Fleet:
    """Prepared as `riti bootstrap` does, with everything running; wrap: what the leader's clients are."""
    consul, vault = Consul(light.settings), Vault(light.settings)
    vault.enable_kv(KV_MOUNT)
    vault.enable_transit(TRANSIT_MOUNT)
    vault.create_transit_key(fleet)
    if vault.enable("auth", JWT_MOUNT, {"type": "jwt"}):  # nobody logs in by it here
        keys = {"jwt_validation_pubkeys": [find_public(make_key())]}
        vault.post(f"auth/{JWT_MOUNT}/config", keys, "configure the tasks' login")
    prepare_enrollment(consul, vault, fleet, FLEET_ID, lambda words: None)
    tool = OverlayTool(light.nebula_cert)
    made = tool.make_authority(fleet, AUTHORITY_HOURS)
    vault.write_document(name_document(fleet), {"crt": made.crt, "key": made.key}, 0)
    settings, nomad = make_leader(light, fleet), FakeNomad()
    own_consul, own_vault = wrap(Consul(settings), Vault(settings))
    found: list[Fleet] = []
    authority = connect_authority(own_vault, fleet, lambda: found[0].now.timestamp())
    servers = Servers(nomad, own_consul, own_vault, tool, authority)
    wish = {key: EnrollmentRules(serial=SERIAL) for key in (RIVERA, SALTO)}
    made_fleet = Fleet(fleet, [servers], consul, vault, wish=wish)
    found.append(made_fleet)
    nomad.read_file = made_fleet.read_file
    return made_fleet
