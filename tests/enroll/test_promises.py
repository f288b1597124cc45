"""The promises of enrollment on real servers, by the boxes' own tokens and the leader's narrow ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.settings import Settings
from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT, Vault
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.claim import draft_claim, make_claim, seal_claim
from ritilib.errors import Denied, ServerError
from ritilib.render.rules import EnrollmentRules
from ritilib.sync.enroll.prepare import prepare_enrollment
from ritilib.sync.lead.rights import Rights
from ritilib.sync.unit.apply import Servers
from tests.enroll.offices import FLEET_ID, KEY, Office
from tests.enroll.servers import Light
from tests.fakes.nomad import FakeNomad
from tests.unit.enroll.boxes import SERIAL, Pi, find_public, make_key

CREW = 4
TIMEOUT_S = 30.0


@dataclass
class RealOffice(Office):
    """With what a box does by its own tokens."""

    light: Light | None = None
    folder: Path = Path()

    def log_in(self, card: str) -> Consul:
        """By a claim; Denied where nobody may ask."""
        assert self.light
        consul = Consul(self.light.settings)
        return Consul(self.light.as_box(consul_token=consul.login(self.names.claim_method, card)))

    def ask(self, box: Pi, card: str, key: str = KEY) -> bytes:
        """A request put by the claim's own token, where none is."""
        request = box.ask(card)
        self.log_in(card).write(self.name(key).enroll_request, request, 0)
        return request

    def take_token(self, box: Pi, key: str = KEY) -> str:
        """Into Vault by the certificate of the reply: its token. ServerError where it is not let in."""
        assert self.light
        reply, names = self.read_reply(key), self.name(key)
        assert reply is not None and reply.identity, reply
        certificate, place = self.folder / "box.crt", self.folder / "box.key"
        certificate.write_text(reply.identity)
        place.write_text(box.private)
        answer = self.light.log_in(names.job_id, self.names.cert_mount, certificate, place)
        if answer.status_code != 200:
            raise ServerError.because(f"Vault says {answer.status_code}", "")
        return str(answer.json()["auth"]["client_token"])

    def go_in(self, box: Pi, key: str = KEY) -> tuple[Consul, Vault]:
        """All the way, by what the reply holds: the clients that the box has then."""
        assert self.light
        token = self.take_token(box, key)
        vault = Vault(self.light.as_box(token))
        jwt = vault.find(f"identity/oidc/token/{self.names.oidc_role}", "ask for a token")
        assert jwt
        secret = Consul(self.light.settings).login(self.names.box_method, jwt["token"])
        return Consul(self.light.as_box(consul_token=secret)), vault


@pytest.fixture
def office(light: Light, fleet: str, tmp_path: Path) -> RealOffice:
    return open_office(light, fleet, tmp_path)


def open_office(light: Light, fleet: str, folder: Path) -> RealOffice:
    """A fleet prepared at the servers, with a crew that has a leader's rights and no others."""
    consul, vault = Consul(light.settings), Vault(light.settings)
    vault.enable_kv(KV_MOUNT)
    vault.enable_transit(TRANSIT_MOUNT)
    prepare_enrollment(consul, vault, fleet, FLEET_ID, lambda words: None)
    tool = OverlayTool(light.nebula_cert)
    authority = tool.make_authority(fleet, 24 * 365 * 10)
    leader = make_leader(light, fleet)
    crew = [make_servers(leader, tool, authority) for _ in range(CREW)]
    return RealOffice(fleet, crew, consul, vault, light=light, folder=folder)


def make_leader(light: Light, fleet: str) -> Settings:
    """Tokens with a leader's rights, and no others."""
    consul, vault, rights = Consul(light.settings), Vault(light.settings), Rights(fleet)
    consul.put_policy(rights.leader, rights.consul_leader(), f"riti {FLEET_ID} leader")
    vault.put_policy(rights.leader, rights.vault_leader())
    consul_token = consul.create_token((rights.leader,), "leader")
    return light.as_box(vault.create_token((rights.leader,), "leader"), consul_token)


def make_servers(settings: Settings, tool: OverlayTool, authority: Authority) -> Servers:
    return Servers(FakeNomad(), Consul(settings), Vault(settings), tool, lambda: authority)


def wait_denied(ask: Callable[[], object]) -> None:
    """Until it is denied: Consul's servers keep roles for a moment."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        try:
            ask()
        except Denied:
            return
        time.sleep(0.05)
    raise AssertionError("it is still let in")


def test_from_a_card_to_tokens_of_its_own(office: RealOffice) -> None:
    box, card = office.make_box(), office.make_claim()
    with pytest.raises(Denied):
        office.log_in(card)
    office.settle()
    asking = office.log_in(card)
    office.ask(box, card)
    office.settle()
    consul, vault = office.go_in(box)
    names = office.name()
    consul.write(names.box_generation, box.advanced.encode(), 0)
    Vault(office.light.settings).write_document(names.box_document, {"iax": {}}, 0)  # type: ignore[union-attr]
    assert vault.read_document(names.box_document) is not None
    assert office.settle_later() == [f"{KEY} is in"]
    wait_denied(lambda: asking.read(names.enroll_reply))
    with pytest.raises(Denied):
        office.log_in(card)
    other = office.name("acme/rivera")
    forbidden: tuple[Callable[[], object], ...] = (
        lambda: consul.read(other.box_kv_key),
        lambda: consul.write(other.enroll_request, b"x", 0),
        lambda: consul.write(names.box_kv_key, b"x", 0),
        lambda: consul.write(names.enroll_reply, b"x", 0),
        lambda: consul.read(office.names.binding(KEY)),
        lambda: consul.read_tree(f"riti/{office.fleet}/"),
        lambda: vault.read_document(other.box_document),
        lambda: vault.read_document(names.document),
        lambda: vault.post(f"{office.names.pki_mount}/sign/box", {"common_name": names.job_id}, "sign"),
        lambda: vault.put_policy(f"{names.box_role}--1", ""),
    )
    for ask in forbidden:
        with pytest.raises(Denied):
            ask()


def test_a_claims_token_reaches_its_own_request_alone(office: RealOffice) -> None:
    office.wish["acme/rivera"] = EnrollmentRules()
    office.settle()
    asking = office.log_in(office.make_claim())
    names, other = office.name(), office.name("acme/rivera")
    reply = asking.read(names.enroll_reply)
    assert reply is not None and reply.value == b""  # there before the box comes, which waits at it
    for ask in (
        lambda: asking.write(other.enroll_request, b"x", 0),
        lambda: asking.write(names.enroll_reply, b"x", 0),
        lambda: asking.write(names.box_generation, b"x", 0),
        lambda: asking.read(office.names.binding(KEY)),
    ):
        with pytest.raises(Denied):
            ask()


def test_a_card_of_another_fleet_or_hand_opens_nothing(office: RealOffice, light: Light) -> None:
    office.settle()
    box = office.make_box()
    other = f"{office.fleet}b"
    prepare_enrollment(Consul(light.settings), Vault(light.settings), other, "another", lambda words: None)
    stranger = Office(other, office.servers, office.consul, office.vault)
    foreign = stranger.make_claim()
    with pytest.raises(ServerError):
        office.log_in(foreign)
    office.put_request(box.ask(foreign))
    office.settle()
    reply = office.read_reply()
    assert reply is not None and reply.state == "denied"
    # whoever may sign for one fleet names no box of another
    office.wish["acme/rivera"] = EnrollmentRules()
    office.settle()
    stolen_name = Office(office.fleet, office.servers, office.consul, office.vault)
    stolen_name.names = stranger.names
    with pytest.raises(ServerError):
        Consul(light.settings).login(stranger.names.claim_method, stolen_name.make_claim())


def test_an_expired_card_opens_nothing(office: RealOffice) -> None:
    office.settle()
    card = replace(office, now=office.now - timedelta(days=40)).make_claim()
    with pytest.raises(ServerError):
        office.log_in(card)
    office.put_request(office.make_box().ask(card))
    office.settle()
    reply = office.read_reply()
    assert reply is not None and (reply.state, reply.why) == ("denied", "the claim has expired")


def test_a_stolen_card_is_found_out_and_both_are_cut_off(office: RealOffice) -> None:
    box, thief, card = office.make_box(), office.make_box(), office.make_claim()
    office.settle()
    thief_asking = office.log_in(card)
    office.ask(box, card)
    office.settle()
    consul, vault = office.go_in(box)
    names = office.name()
    thief_asking.write(names.enroll_request, thief.ask(card), 0)
    told = office.settle()
    assert any("locked out" in one for one in told)
    wait_denied(lambda: consul.read(names.box_kv_key))
    wait_denied(lambda: thief_asking.read(names.enroll_reply))
    with pytest.raises(Denied):
        vault.find(f"identity/oidc/token/{office.names.oidc_role}", "ask for a token")
    with pytest.raises(Denied):
        office.log_in(card)
    binding = office.read_binding()
    assert binding is not None and binding.state == "conflict"
    assert office.read_blocked() == [one.fingerprint for one in binding.blocked] != []


def test_the_tokens_of_a_replaced_box_stay_worthless(office: RealOffice) -> None:
    old, new = office.make_box(), office.make_box(serial="10000000abcdef02")
    office.settle()
    office.ask(old, office.make_claim())
    office.settle()
    consul, vault = office.go_in(old)
    names = office.name()
    office.merge(generation=2, serial="10000000abcdef02")
    office.settle()
    office.ask(new, office.make_claim(generation=2))
    office.settle()
    new_consul, new_vault = office.go_in(new)
    assert new_consul.read(names.box_kv_key) is None
    path = f"identity/oidc/token/{office.names.oidc_role}"
    assert new_vault.find(path, "ask for a token")
    wait_denied(lambda: consul.read(names.box_kv_key))
    with pytest.raises(Denied):
        vault.find(path, "ask for a token")


def test_a_renewal_by_its_own_token(office: RealOffice) -> None:
    box = office.make_box()
    office.settle()
    office.ask(box, office.make_claim())
    office.settle()
    consul, _ = office.go_in(box)
    names = office.name()
    index = consul.write(names.box_generation, box.advanced.encode(), 0)
    office.settle_later()
    first = office.read_reply()
    box.advanced = Pi().advanced
    consul.write(names.box_generation, box.advanced.encode(), index)
    consul.write(names.enroll_request, box.ask(None), 0)
    office.settle()
    second = office.read_reply()
    assert first is not None and second is not None
    assert second.state == "bound" and second.identity != first.identity
    office.go_in(box)


def test_the_devices_own_key_makes_a_stolen_card_useless(office: RealOffice) -> None:
    otp = make_key()
    claim = make_claim(
        office.fleet, FLEET_ID, KEY, Pi().advanced, int(office.now.timestamp()), 30, 1, None, find_public(otp)
    )
    draft = draft_claim(claim)
    card = seal_claim(draft, SigningKey(office.vault, office.names.claim_key).sign(draft))
    office.settle()
    office.ask(office.make_box(), card)
    office.settle()
    reply = office.read_reply()
    assert reply is not None and reply.state == "denied"
    box = office.make_box()
    office.log_in(card).write(office.name().enroll_request, box.ask(card, otp=otp), 0)
    office.settle()
    reply = office.read_reply()
    assert reply is not None and reply.state == "bound"


def test_many_at_once_each_get_their_own(office: RealOffice) -> None:
    keys = [f"acme/o{number}" for number in range(20)]
    office.wish = {key: EnrollmentRules(serial=SERIAL) for key in keys}
    office.settle()
    boxes = {key: office.make_box(key) for key in keys}
    for key, box in boxes.items():
        office.put_request(box.ask(office.make_claim(key)), key)
    office.settle()
    bindings = {key: office.read_binding(key) for key in keys}
    assert {key: one.thumbprint for key, one in bindings.items() if one} == {
        key: box.thumbprint for key, box in boxes.items()
    }
    replies = [office.read_reply(key) for key in keys]
    assert all(one and one.state == "bound" for one in replies)
    fingerprints = {one.overlay[0].fingerprint for one in bindings.values() if one}
    assert len(fingerprints) == len(keys)
